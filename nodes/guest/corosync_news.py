"""What a guest's watcher has told of corosync, as values. Times are of the guest's clock. Pure."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from nodes.guest.layout import Kind
from nodes.guest.messages import CorosyncLine, CorosyncNodes, CorosyncPackets, Done
from nodes.guest.ring import Message


class LogLine(NamedTuple):
    """A line of corosync's log."""

    at_ns: int
    text: str


class RingFormed(NamedTuple):
    """A ring was formed, without these ids of the last."""

    at_ns: int
    number: int
    left: tuple[int, ...]


class QuorumSaid(NamedTuple):
    """The ring's ids, and whether they have quorum."""

    at_ns: int
    number: int
    members: tuple[int, ...]
    quorate: bool


class PacketsOf(NamedTuple):
    """Packets to and from a peer since the boot."""

    at_ns: int
    peer: int
    sent: int
    received: int


class Ended(NamedTuple):
    """Corosync has ended by itself; ``status`` as ``waitpid`` has it."""

    at_ns: int
    status: int


CorosyncNews = LogLine | RingFormed | QuorumSaid | PacketsOf | Ended


def corosync_news(message: Message) -> CorosyncNews:
    """Return what a message says.

    Raises:
        ValueError: It is of no kind that a watcher writes, or too short.
    """
    if message.kind not in _READ:
        raise ValueError(message.kind)
    return _READ[message.kind](message.body)


def _line(body: bytes) -> LogLine:
    said, begin = CorosyncLine.from_buffer_copy(body), c.sizeof(CorosyncLine)
    return LogLine(said.at_ns, body[begin : begin + said.bytes].decode(errors="replace"))


def _ring(body: bytes) -> RingFormed:
    said = CorosyncNodes.from_buffer_copy(body)
    return RingFormed(said.at_ns, said.ring, _ids(said))


def _quorum(body: bytes) -> QuorumSaid:
    said = CorosyncNodes.from_buffer_copy(body)
    return QuorumSaid(said.at_ns, said.ring, _ids(said), bool(said.quorate))


def _ids(said: CorosyncNodes) -> tuple[int, ...]:
    return tuple(said.ids[: said.nodes])


def _packets(body: bytes) -> PacketsOf:
    said = CorosyncPackets.from_buffer_copy(body)
    return PacketsOf(said.at_ns, said.peer, said.sent, said.received)


def _ended(body: bytes) -> Ended:
    said = Done.from_buffer_copy(body)
    return Ended(said.at_ns, said.result)


_READ: Final[Mapping[int, Callable[[bytes], CorosyncNews]]] = {
    Kind.COROSYNC_LINE: _line,
    Kind.COROSYNC_LEFT: _ring,
    Kind.COROSYNC_QUORUM: _quorum,
    Kind.COROSYNC_PACKETS: _packets,
    Kind.COROSYNC_ENDED: _ended,
}
