"""What runs in a virtual machine that is a node, and the memory that it shares with its host.

The kernel module (``module/``) and the agent (``agent/``) are C; ``shared.h`` is the layout of the
shared memory, and ``layout.py`` and ``ring.py`` are its Python twin.
"""
