"""The daemon's UDP socket: sending that never blocks, and datagrams with their arrival times."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from nodes.membership.datagram import MAX_BYTES
from reserve_agent.errors import HookError
from reserve_agent.memalloc import set_memalloc

# From asm-generic/socket.h; Python's socket module has no names for them.
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_RECEIVE_BUFFER = 1 << 20  # a daemon held up for seconds must not lose what came in time


class Arrival(NamedTuple):
    """One datagram; ``at_ns`` is when this host received it, CLOCK_MONOTONIC.

    ``name`` is the peer that has the address it came from; empty for a stranger.
    """

    payload: bytes
    name: str
    at_ns: int


class HeartbeatLink:
    """One node's socket, bound to its own address.

    Arrival times are the kernel's. A daemon that wakes late still judges its peers by when their
    heartbeats came, not by when it found the time to read them.

    Args:
        address: the node's own IPv4 address.
        port: UDP port of all nodes.
        peers: IPv4 address of every other node by name.
        memalloc: ask for the receive reserve.

    Raises:
        HookError: the reserve was refused.
        OSError: the address is not this node's.
    """

    def __init__(self, address: str, port: int, peers: Mapping[str, str], memalloc: bool) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if memalloc:
            try:
                set_memalloc(self._socket)
            except OSError as error:
                raise HookError(f"SO_MEMALLOC refused, are hooks attached? ({error})") from error
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        with contextlib.suppress(PermissionError):  # outside root the default has to do
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        self._socket.bind((address, port))
        self._peers = {name: (peer, port) for name, peer in peers.items()}
        self._names = {peer: name for name, peer in peers.items()}
        self._drained_ns = time.monotonic_ns()

    def fileno(self) -> int:
        """To wait on for datagrams."""
        return self._socket.fileno()

    def send(self, payload: bytes, to: Iterable[str]) -> tuple[list[str], list[str]]:
        """Send to these peers; the names of those sent to, and of those where that failed."""
        sent, failed = [], []
        for name in to:
            try:
                self._socket.sendto(payload, self._peers[name])
                sent.append(name)
            except OSError:
                failed.append(name)
        return sent, failed

    def drain(self) -> Iterator[Arrival]:
        """Every datagram that waits, in the order of arrival."""
        started_ns = time.monotonic_ns()
        offset_ns = time.clock_gettime_ns(time.CLOCK_REALTIME) - started_ns
        earliest_ns = self._drained_ns
        receive = self._socket.recvmsg
        # An error pending on the socket ends this drain; it says nothing of any peer.
        with contextlib.suppress(OSError):
            while True:
                payload, ancillary, _, (address, _) = receive(MAX_BYTES + 1, _ANCILLARY_BYTES)
                at_ns = _kernel_time_ns(ancillary, offset_ns)
                # The socket was empty when it was last drained. That also bounds what a step of
                # the real-time clock, which the kernel's stamp is from, can do.
                at_ns = max(earliest_ns, min(at_ns, time.monotonic_ns()))
                yield Arrival(payload, self._names.get(address, ""), at_ns)
        self._drained_ns = started_ns

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _kernel_time_ns(ancillary: list[tuple[int, int, bytes]], offset_ns: int) -> int:
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return int(seconds * 1_000_000_000 + nanoseconds - offset_ns)
    return time.monotonic_ns()
