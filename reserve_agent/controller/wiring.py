"""What a controller is told of a run's network: switches, the nodes on their ports, links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reserve_agent.errors import BadInput


@dataclass(frozen=True)
class Switch:
    """An OpenFlow switch.

    Attributes:
        name: Name of its bridge.
        dpid: Datapath id, by which it presents itself to a controller.
    """

    name: str
    dpid: int


@dataclass(frozen=True)
class HostPort:
    """A port of a switch with a node behind it.

    Two ports of one node that have an address in common stand in for each other.

    Attributes:
        switch: Name of the switch.
        number: OpenFlow port number.
        name: Name of the interface in the root namespace.
        node: Logical name of the node, such as ``n1``.
        mac: Hardware address of the node's end, in lower case.
        addresses: IPv4 addresses that are always reached through this port.
        network: Label of the network that the port belongs to, such as ``cluster``.
    """

    switch: str
    number: int
    name: str
    node: str
    mac: str
    addresses: tuple[str, ...]
    network: str = "cluster"


@dataclass(frozen=True)
class SwitchLink:
    """A link between two switches, by name and OpenFlow port number."""

    a: str
    port_a: int
    b: str
    port_b: int


@dataclass(frozen=True)
class Network:
    """A run's whole network; it need not be connected (storage may have its own).

    Raises:
        BadInput: a port or a name is there twice, or a switch is not there.
    """

    switches: tuple[Switch, ...]
    hosts: tuple[HostPort, ...]
    links: tuple[SwitchLink, ...] = ()

    def __post_init__(self) -> None:
        names = [switch.name for switch in self.switches]
        ports = [(host.switch, host.number) for host in self.hosts]
        for link in self.links:
            ports += [(link.a, link.port_a), (link.b, link.port_b)]
        _check_differ("switch", names)
        _check_differ("datapath id", [switch.dpid for switch in self.switches])
        _check_differ("port", ports)
        _check_differ("hardware address", [host.mac for host in self.hosts])
        for name, number in ports:
            if name not in names:
                raise BadInput(f"network: port {number} is on switch {name}, which is not there")


def _check_differ(what: str, values: Sequence[object]) -> None:
    seen = set()
    for one in values:
        if one in seen:
            raise BadInput(f"network: {what} {one} is there twice")
        seen.add(one)
