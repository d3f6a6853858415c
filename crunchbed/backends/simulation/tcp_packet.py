"""TCP segments as values, one or several in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from crunchbed.backends.simulation.packet import IPV4, TCP, Datagram
from reserve_agent.contract.packets import PacketClass
from reserve_agent.model.packet import Segment

MSS: Final = 1448
"""Payload of a full segment: 1500 bytes less the headers of IPv4 and of TCP with timestamps."""
HEADERS: Final = 14 + 20 + 32


@dataclass(frozen=True)
class Ends:
    """Addresses and ports of a connection, as one of its ends sees them, and its class."""

    address: str
    port: int
    peer: str
    peer_port: int
    cls: PacketClass


@dataclass(kw_only=True)
class TcpPacket(Datagram):
    """A segment, or several that follow each other.

    Attributes:
        syn: The sender opens a connection; ``rst`` and ``fin``: the sender has none any more.
        step: Bytes between the acknowledgements of two of its frames.
        far: Where bytes begin that have arrived beyond the acknowledgement (SACK); 0: none.
    """

    syn: bool = False
    rst: bool = False
    fin: bool = False
    step: int = 0
    far: int = 0

    def apart(self) -> Sequence[Self]:
        """Return its frames one by one: data and acknowledgements go on from frame to frame."""
        return [self._nth(number) for number in range(self.frames)]

    def _nth(self, number: int) -> Self:
        data, acknowledged = self.segment, self.acknowledged
        if data.bytes:
            begin = number * MSS
            rest = data.bytes - begin
            data = Segment(data.sequence + begin, min(MSS, rest), data.queued + max(0, rest - MSS))
        elif acknowledged is not None:
            acknowledged -= (self.frames - 1 - number) * self.step
        size = HEADERS + data.bytes
        return self.changed(
            frames=1, spread_ns=0, segment=data, acknowledged=acknowledged, bytes=size
        )

    def first(self, frames: int) -> Self:
        """Return its first frames, at least one."""
        data, acknowledged = self.segment, self.acknowledged
        if data.bytes:
            data = Segment(data.sequence, min(data.bytes, frames * MSS), data.queued)
        elif acknowledged is not None:
            acknowledged -= (self.frames - frames) * self.step
        return self.changed(frames=frames, segment=data, acknowledged=acknowledged)


def blank(ends: Ends) -> TcpPacket:
    """Return a packet from one end of a connection to the other that says nothing."""
    return TcpPacket(
        cls=ends.cls,
        vm_aware=True,
        protocol=TCP,
        type=IPV4,
        bytes=HEADERS,
        source=ends.address,
        destination=ends.peer,
        source_port=ends.port,
        port=ends.peer_port,
    )


def refusal(packet: TcpPacket) -> TcpPacket:
    """Return the answer to a packet for a socket that there is not."""
    ends = Ends(packet.destination, packet.port, packet.source, packet.source_port, packet.cls)
    return blank(ends).changed(rst=True)
