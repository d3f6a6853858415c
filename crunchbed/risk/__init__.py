"""What a machine risks when its memory is short: tables of sockets and cards, and findings. Pure.

``docs/memalloc-sockets.md`` has the tables for people; ``crunchbed audit --host`` asks them about
the machine that ``crunchbed.host.survey`` has looked at.
"""
