"""Packets as values: what the rules of the reserve ask of a packet, and whom it goes to.

A value may stand for several frames that follow each other on a wire, as a buffer of the kernel
does that is yet to be segmented. Who has to look at each frame takes them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.model.packet import Packet

UDP: Final = 17
TCP: Final = 6
IPV4: Final = 0x0800
UDP_HEADERS: Final = 14 + 20 + 8
"""Bytes before the payload of a UDP packet, with those of Ethernet."""


@dataclass(kw_only=True)
class Datagram(Packet):
    """A packet with its addresses.

    Attributes:
        source: IPv4 address of its sender, and
        destination: of its receiver.
        source_port: Port of its sender, and
        port: of its receiver.
        payload: What it says; whoever listens on the port knows.
        tag: First eight bytes of its payload, in hexadecimal, where somebody may ask for them.
        spread_ns: Time from the arrival of its first frame to that of the last.
        broadcast: Whether it goes to every host of the network.
    """

    source: str
    destination: str
    source_port: int
    port: int
    payload: Any = field(default=None, repr=False)
    tag: str = ""
    spread_ns: int = 0
    broadcast: bool = False

    def changed(self, **changes: Any) -> Self:
        """Return a copy with other fields; ``dataclasses.replace`` takes three times as long."""
        copy = object.__new__(type(self))
        copy.__dict__ = {**self.__dict__, **changes}
        return copy

    def apart(self) -> Sequence[Self]:
        """Return its frames one by one."""
        return [self.changed(frames=1, spread_ns=0)] * self.frames

    def first(self, frames: int) -> Self:
        """Return its first frames, at least one."""
        return self.changed(frames=frames)


class Classes:
    """The class of a packet by its protocol and ports, as the port rules say."""

    def __init__(self, rules: Iterable[PortRule]) -> None:
        self._classes = {(rule.protocol, rule.port): rule.cls for rule in rules}

    def of(self, protocol: int, *ports: int) -> PacketClass:
        """Return the class of a packet between these ports."""
        for port in ports:
            if (cls := self._classes.get((protocol, port))) is not None:
                return cls
        return PacketClass.OTHER


def udp(classes: Classes, length: int, source_port: int, port: int, **fields: Any) -> Datagram:
    """Return a UDP packet of ``length`` bytes of payload; ``fields`` are those of ``Datagram``."""
    return Datagram(
        cls=classes.of(UDP, source_port, port),
        vm_aware=True,
        protocol=UDP,
        type=IPV4,
        bytes=UDP_HEADERS + length,
        source_port=source_port,
        port=port,
        **fields,
    )
