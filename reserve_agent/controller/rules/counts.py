"""From a switch's counters to packets by node and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from reserve_agent.contract.packets import PacketClass
from reserve_agent.controller.rules import cookie
from reserve_agent.controller.rules.cookie import Purpose
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.state import HeldFlow
from reserve_agent.controller.wiring import Network

Row = tuple[str, str, int, int]
"""Node, class, packets, bytes."""
_Counts = Counter[tuple[str, PacketClass, str]]
"""By node, class, and ``packets`` or ``bytes``."""


class PacketTable:
    """Packets and bytes of all switches, by receiving node and class."""

    def __init__(self, network: Network, shed: Shed) -> None:
        self._network = network
        self._shed = shed
        self._nodes = {(port.switch, port.number): port.node for port in network.hosts}
        self._delivered: _Counts = Counter()
        self._arrived: _Counts = Counter()
        self._by_address: _Counts = Counter()
        self._metered: _Counts = Counter()

    def add_switch(
        self, switch: str, flows: Iterable[HeldFlow], metered: Mapping[int, tuple[int, int]]
    ) -> None:
        """Add the counters of one switch; flows that are not ours do not count.

        ``metered`` has the packets and bytes that each meter has dropped, by number.
        """
        for flow in flows:
            decoded = cookie.decode(flow.cookie)
            if decoded is None or decoded[0].cls is None:
                continue
            purpose, cls, port = decoded[0].purpose, decoded[0].cls, decoded[0].port
            if purpose is Purpose.FLOOD:
                for name, number in self._nodes:
                    if name == switch and number != port:
                        self._count(self._delivered, name, number, cls, flow.packets, flow.bytes)
                continue
            for into in self._tables_of(purpose):
                self._count(into, switch, port, cls, flow.packets, flow.bytes)
        for port, (packets, size) in metered.items():
            if (switch, port) in self._nodes and self._shed.classes:
                cls = self._shed.classes[0]
                self._count(self._metered, switch, port, cls, packets, size)

    def _tables_of(self, purpose: Purpose) -> tuple[_Counts, ...]:
        if purpose is Purpose.DELIVER:
            return (self._delivered, self._by_address)
        if purpose is Purpose.ASKED:
            return (self._delivered,)
        return (self._arrived,) if purpose is Purpose.PRESSURE else ()

    def _count(
        self, into: _Counts, switch: str, port: int, cls: PacketClass, packets: int, size: int
    ) -> None:
        node = self._nodes[switch, port]
        into[node, cls, "packets"] += packets
        into[node, cls, "bytes"] += size

    def arrived(self) -> list[Row]:
        """What arrived for each node, shed or not; a packet to all nodes counts for each."""
        return self._rows(self._delivered + _minus(self._arrived, self._by_address))

    def dropped(self) -> list[Row]:
        """What the switches shed for each node; packets that wait in a queue were not shed."""
        return self._rows(_minus(self._arrived, self._by_address) + self._metered)

    def _rows(self, table: _Counts) -> list[Row]:
        nodes = dict.fromkeys(self._nodes.values())
        return [
            (node, cls.label, table[node, cls, "packets"], table[node, cls, "bytes"])
            for node in nodes
            for cls in PacketClass
            if table[node, cls, "packets"]
        ]


def _minus(a: _Counts, b: _Counts) -> _Counts:
    """The difference, never below zero: counters are read one after another, not at once."""
    return Counter({key: count - b[key] for key, count in a.items() if count > b[key]})
