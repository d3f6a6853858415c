"""The power of a cluster's switches, and the ports of hosts that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crunchbed.backends.common.configs import rings
from crunchbed.backends.common.ports import SwitchPort
from topologies.node import NodeLink
from topologies.power import SwitchPower


class LiveSwitches:
    """Implements ``crunchbed.run.world.SwitchPower``, with the switch ports of every host."""

    def __init__(self, power: SwitchPower, ports: Mapping[str, SwitchPort]) -> None:
        self.power = power
        self._ports = ports
        self._cut: dict[str, list[tuple[str, str]]] = {}

    def _links(self, switch: str) -> list[tuple[str, NodeLink]]:
        full = self.power.full_name(switch)
        return [
            (name, link)
            for name, port in self._ports.items()
            for link in port.host.links
            if link.switch == full
        ]

    def links_to(self, switch: str) -> Mapping[str, Sequence[str]]:
        """Return the networks by which each host is linked to a switch."""
        found: dict[str, list[str]] = {}
        for name, link in self._links(switch):
            found.setdefault(name, []).append(link.network)
        return found

    def cut_off_by(self, switch: str) -> Sequence[str]:
        """Return the hosts that have no ring of heartbeats left without a switch."""
        lost: dict[str, set[str]] = {}
        for name, link in self._links(switch):
            lost.setdefault(name, set()).add(link.ip)
        return [name for name, ips in lost.items() if ips >= set(rings(self._ports[name].host))]

    def is_on(self, switch: str) -> bool:
        """Return whether a switch has power."""
        return self.power.is_on(switch)

    def turn_off(self, switch: str) -> None:
        """Take the power of a switch away; a node that boots meanwhile has no carrier there."""
        cut = self._cut.setdefault(switch, [])
        for name, link in self._links(switch):
            self._ports[name].cut(link.network)
            cut.append((name, link.network))
        self.power.turn_off(switch)

    def turn_on(self, switch: str) -> None:
        """Give a switch its power back; it knows nothing of what it had learnt."""
        self.power.turn_on(switch)
        for name, network in self._cut.pop(switch, ()):
            self._ports[name].mend(network)
