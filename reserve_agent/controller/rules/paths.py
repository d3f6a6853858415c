"""Ways through the switches: distances, the links that lead nearer, the tree for floods."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from reserve_agent.controller.wiring import HostPort, Network, SwitchLink

Port = tuple[str, int]
"""Switch and OpenFlow port number."""


@dataclass(frozen=True)
class Hop:
    """A link seen from one of its ends: the port here, and the switch over there."""

    port: int
    switch: str


class Paths:
    """All that forwarding needs to know of a network's shape; computed once."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._hops: dict[str, list[Hop]] = {switch.name: [] for switch in network.switches}
        for link in network.links:
            self._hops[link.a].append(Hop(link.port_a, link.b))
            self._hops[link.b].append(Hop(link.port_b, link.a))
        self._distances = {name: self._distances_to(name) for name in self._hops}

    def _distances_to(self, target: str) -> dict[str, int]:
        found = {target: 0}
        waiting = deque([target])
        while waiting:
            switch = waiting.popleft()
            for hop in self._hops[switch]:
                if hop.switch not in found:
                    found[hop.switch] = found[switch] + 1
                    waiting.append(hop.switch)
        return found

    def hops(self, switch: str) -> list[Hop]:
        """The links of a switch."""
        return self._hops[switch]

    def reaches(self, switch: str, target: str) -> bool:
        """Whether there is a way."""
        return switch in self._distances[target]

    def distance(self, switch: str, target: str) -> int:
        """Links between two switches that reach each other."""
        return self._distances[target][switch]

    def nearer(self, switch: str, target: str) -> list[Hop]:
        """The links that lead nearer to ``target``, in the order of the network's links."""
        if switch == target or not self.reaches(switch, target):
            return []
        wanted = self.distance(switch, target) - 1
        return [hop for hop in self._hops[switch] if self.distance(hop.switch, target) == wanted]

    def nearer_without(self, switch: str, target: str, avoided: str) -> list[Hop]:
        """The links that lead nearer to ``target``, without the links to one neighbour."""
        return [hop for hop in self.nearer(switch, target) if hop.switch != avoided]

    def stand_ins(self, port: HostPort) -> list[HostPort]:
        """Other ports of the same node by which one of its addresses is reached too."""
        return [
            other
            for other in self.network.hosts
            if other.node == port.node
            and other != port
            and not set(port.addresses).isdisjoint(other.addresses)
            and self.reaches(port.switch, other.switch)
        ]


def flood_tree(
    network: Network, down: Collection[Port] = (), kept: Collection[SwitchLink] = ()
) -> frozenset[SwitchLink]:
    """Links that join all switches without a loop; links of ports that are ``down`` are not used.

    The links ``kept``, of the tree until now, stay where possible, so that old and new flows make
    no loop together while the switches change over one after another.
    """
    root = {switch.name: switch.name for switch in network.switches}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    chosen = set()
    for link in sorted(network.links, key=lambda link: link not in kept):
        a, b = find(link.a), find(link.b)
        if a != b and (link.a, link.port_a) not in down and (link.b, link.port_b) not in down:
            root[a] = b
            chosen.add(link)
    return frozenset(chosen)
