"""TCP connections of a namespace, by netlink: ended without a word, as by a loss of power."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyroute2 import DiagSocket
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST
from pyroute2.netlink.diag import SOCK_DESTROY, SS_ALL, inet_diag_req
from pyroute2.netlink.exceptions import NetlinkError

_LISTENS: Final = 10  # TCP_LISTEN; such a socket ends with its process
_NAMED: Final = ("sport", "dport", "if", "cookie")


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
        with _unless_impossible():
            for found in diag.get_sock_stats(family=socket.AF_INET, states=SS_ALL):
                if found["idiag_state"] != _LISTENS:
                    ended += _end(diag, found)
    return ended


def _end(diag: DiagSocket, found: Any) -> bool:
    with _unless_impossible():
        for _ in diag.nlm_request(_naming(found), SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK):
            pass
        return True
    return False


@contextmanager
def _unless_impossible() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in (errno.ENOENT, errno.EOPNOTSUPP):  # gone by itself; not built in
            raise


def _naming(found: Any) -> inet_diag_req:
    request = inet_diag_req()
    request["sdiag_family"] = socket.AF_INET
    request["sdiag_protocol"] = socket.IPPROTO_TCP
    for name in _NAMED:
        request[f"idiag_{name}"] = found[f"idiag_{name}"]
    for end in ("idiag_src", "idiag_dst"):
        request[end] = tuple(_words(found[end]))
    return request


def _words(address: str) -> Iterator[int]:
    """Yield an address as the four words that the request has for one."""
    yield int.from_bytes(socket.inet_aton(address), "big")
    yield from (0, 0, 0)
