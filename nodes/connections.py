"""TCP connections of a namespace, by netlink: ended without a word, as by a loss of power."""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

from pyroute2 import DiagSocket
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST
from pyroute2.netlink.diag import SOCK_DESTROY, SS_ALL, inet_diag_req

from nodes.netlink import tolerated

_LISTENS: Final = 10  # TCP_LISTEN; such a socket ends with its process
_NAMED: Final = ("sport", "dport", "if", "cookie")
_NOT_ENDED: Final = (errno.ENOENT, errno.EOPNOTSUPP)  # gone by itself; this kernel cannot


def end_connections() -> int:
    """Have the kernel forget every IPv4 TCP connection of this thread's namespace.

    A connection outlives a process that was killed, and sends what is in its buffer as soon as the
    link is back; that of a node without power does not. A kernel without CONFIG_INET_DIAG_DESTROY,
    or without the module tcp_diag, keeps them.

    Returns:
        How many connections are gone.
    """
    ended = 0
    with DiagSocket() as diag:
        diag.bind()
        with tolerated(*_NOT_ENDED):
            for found in diag.get_sock_stats(family=socket.AF_INET, states=SS_ALL):
                if found["idiag_state"] != _LISTENS:
                    ended += _end(diag, found)
    return ended


def _end(diag: DiagSocket, found: Any) -> bool:
    with tolerated(*_NOT_ENDED):
        for _ in diag.nlm_request(_naming(found), SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK):
            pass
        return True
    return False


def _naming(found: Any) -> inet_diag_req:
    request = inet_diag_req()
    request["sdiag_family"] = socket.AF_INET
    request["sdiag_protocol"] = socket.IPPROTO_TCP
    for name in _NAMED:
        request[f"idiag_{name}"] = found[f"idiag_{name}"]
    for end in ("idiag_src", "idiag_dst"):
        request[end] = _words(found[end])
    return request


def _words(address: str) -> tuple[int, int, int, int]:
    """Return an address as the four words that the request has for one."""
    return int.from_bytes(socket.inet_aton(address), "big"), 0, 0, 0
