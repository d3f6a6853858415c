"""Socket options that Python's ``socket`` has no names for.

Linux has those of asm-generic/socket.h. No kernel knows ``SO_MEMALLOC`` and ``SO_STALLED``: the
hooks answer them (``cgroup/setsockopt``), only on a node whose hooks are attached, and only for a
privileged caller.
"""

from __future__ import annotations

import socket
from typing import Final

from reserve_agent.contract.packets import SO_MEMALLOC, SO_STALLED

SO_SNDBUFFORCE: Final = 32
"""``SO_SNDBUF`` beyond net.core.wmem_max; takes CAP_NET_ADMIN."""
SO_RCVBUFFORCE: Final = 33
"""``SO_RCVBUF`` beyond net.core.rmem_max; takes CAP_NET_ADMIN."""
SO_TIMESTAMPNS: Final = 35
"""Each datagram comes with the time of its arrival, a timespec of CLOCK_REALTIME."""


def set_memalloc(sock: socket.socket) -> None:
    """Let ``sock`` draw on the reserve.

    Raises:
        OSError: ENOPROTOOPT where no hook answers, EPERM for an unprivileged caller.
    """
    sock.setsockopt(socket.SOL_SOCKET, SO_MEMALLOC, 1)


def set_stalled(sock: socket.socket, receive_buffer: int = 1) -> None:
    """Declare ``sock``'s reader stalled; raises the errors of ``set_memalloc``.

    By a kernel's profile it may hold ``receive_buffer`` bytes of truesize; 1 = the default.
    """
    sock.setsockopt(socket.SOL_SOCKET, SO_STALLED, receive_buffer)
