"""The daemon's UDP sockets: sending that never blocks, and datagrams with their arrival times."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nodes.membership.datagram import MAX_BYTES
from nodes.membership.rings import Arrival
from reserve_agent.socket_options import SO_RCVBUFFORCE, SO_TIMESTAMPNS, set_memalloc

_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_RECEIVE_BUFFER = 1 << 20  # a daemon held up for seconds must not lose what came in time


class RingSocket:
    """One node's socket on one ring, bound to the node's own IPv4 address there.

    Arrival times are the kernel's. A daemon that wakes late still judges its peers by when their
    heartbeats came, not by when it found the time to read them. ``peers`` has the IPv4 address of
    every other node by name.

    Raises:
        OSError: The reserve was refused, or the address is not this node's.
    """

    def __init__(
        self, address: str, port: int, peers: Mapping[str, str], *, memalloc: bool, ring: int = 0
    ) -> None:
        self._ring = ring
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if memalloc:
            try:
                set_memalloc(self._socket)
            except OSError as error:
                text = f"SO_MEMALLOC refused, are hooks attached? ({error.strerror})"
                raise OSError(text) from error
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with contextlib.suppress(PermissionError):  # outside root the default has to do
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        self._socket.bind((address, port))
        self._peers = {name: (peer, port) for name, peer in peers.items()}
        self._names = {peer: name for name, peer in peers.items()}
        self._drained_ns = time.monotonic_ns()

    def fileno(self) -> int:
        """Return the descriptor to wait on for datagrams."""
        return self._socket.fileno()

    def send(self, payload: bytes, to: Iterable[str]) -> list[str]:
        """Send to these peers; return the names of those that the kernel took it for."""
        reached = []
        for name in to:
            with contextlib.suppress(OSError):
                self._socket.sendto(payload, self._peers[name])
                reached.append(name)
        return reached

    def drain(self) -> Iterator[Arrival]:
        """Return every datagram that waits, in the order of arrival."""
        started_ns = time.monotonic_ns()
        offset_ns = time.clock_gettime_ns(time.CLOCK_REALTIME) - started_ns
        earliest_ns = self._drained_ns
        receive = self._socket.recvmsg
        # An error pending on the socket ends this drain; it says nothing of any peer.
        with contextlib.suppress(OSError):
            while True:
                payload, ancillary, _, (address, _) = receive(MAX_BYTES + 1, _ANCILLARY_BYTES)
                at_ns = _kernel_time_ns(ancillary, offset_ns)
                # The socket was empty when it was last drained. That also bounds the error that a
                # step of the real-time clock makes: the kernel's stamps are of that clock.
                at_ns = max(earliest_ns, min(at_ns, time.monotonic_ns()))
                yield Arrival(payload, self._names.get(address, ""), at_ns, self._ring)
        self._drained_ns = started_ns

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _kernel_time_ns(ancillary: list[tuple[int, int, bytes]], offset_ns: int) -> int:
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return int(seconds * 1_000_000_000 + nanoseconds - offset_ns)
    return time.monotonic_ns()


class RingSockets:
    """A node's sockets, one on each ring, in the order of the rings."""

    def __init__(self, sockets: Sequence[RingSocket]) -> None:
        self.sockets = tuple(sockets)

    def send(self, payload: bytes, to: Sequence[str]) -> tuple[list[str], list[str]]:
        """Send on every ring; return whom any ring took it for, and whom none did."""
        reached: set[str] = set()
        for each in self.sockets:
            reached.update(each.send(payload, to))
        failed = [name for name in to if name not in reached]
        return [name for name in to if name in reached], failed

    def drain(self) -> Iterator[Arrival]:
        """Return every datagram that waits, ring after ring."""
        return itertools.chain.from_iterable(each.drain() for each in self.sockets)
