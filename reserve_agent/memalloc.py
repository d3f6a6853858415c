"""``SO_MEMALLOC``: the socket option by which a daemon asks for the receive reserve.

The kernel knows no such option; the host hooks answer it (``cgroup/setsockopt``), and only on a
node whose hooks are attached, and only for a privileged caller.
"""

from __future__ import annotations

import socket

from reserve_agent.contract.packets import SO_MEMALLOC, SO_STALLED


def set_stalled(sock: socket.socket) -> None:
    """Declare ``sock``'s reader stalled; raises the errors of ``set_memalloc``."""
    sock.setsockopt(socket.SOL_SOCKET, SO_STALLED, 1)


def set_memalloc(sock: socket.socket) -> None:
    """Let ``sock`` draw on the reserve.

    Raises:
        OSError: ENOPROTOOPT where no hook answers, EPERM for an unprivileged caller.
    """
    sock.setsockopt(socket.SOL_SOCKET, SO_MEMALLOC, 1)


def get_memalloc(sock: socket.socket) -> bool:
    """Whether ``sock`` may draw on the reserve.

    Raises:
        OSError: ENOPROTOOPT where no hook answers.
    """
    return sock.getsockopt(socket.SOL_SOCKET, SO_MEMALLOC) != 0
