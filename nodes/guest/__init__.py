"""What runs in a virtual machine that is a node, and what stands beside it on the host.

The kernel module (``module/``), the agent (``agent/``) and the watcher of a corosync
(``watcher/``) are C; ``shared.h`` is the layout of the memory that guest and host share, and
``layout.py``, ``messages.py`` and ``ring.py`` are its Python twin. The other modules are the
attendant: to a machine what agent, heartbeat daemon and initiator are to a namespace.
"""
