"""The third table, for packets to many: floods along a tree, and requests for a known address.

With several switches an ARP request for an address whose port is known goes to that port alone, by
the same ways as other packets: a tree has no second way when one of its links is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from reserve_agent.contract.packets import PacketClass
from reserve_agent.controller.rules import tables
from reserve_agent.controller.rules.classify import ARP
from reserve_agent.controller.rules.cookie import Cookie, Purpose
from reserve_agent.controller.rules.forward import FLOOD_GROUP
from reserve_agent.controller.rules.paths import Paths
from reserve_agent.controller.rules.state import (
    Action,
    Bucket,
    Flow,
    FlowKey,
    Group,
    Output,
    ToGroup,
    Value,
)
from reserve_agent.controller.wiring import HostPort, SwitchLink

MULTICAST = "01:00:00:00:00:00/01:00:00:00:00:00"
BROADCAST = "ff:ff:ff:ff:ff:ff"
_REQUEST = 1


def flood_group(paths: Paths, switch: str, tree: Collection[SwitchLink]) -> Group:
    """Every node's port and the tree's links; OpenFlow never sends a packet back to its port."""
    ports = [port.number for port in paths.network.hosts if port.switch == switch]
    for link in sorted(tree, key=lambda link: (link.port_a, link.port_b)):
        ports += [link.port_a] if link.a == switch else []
        ports += [link.port_b] if link.b == switch else []
    return Group(tuple(Bucket((Output(port),)) for port in ports), kind="all")


def flood_flows(paths: Paths, switch: str) -> Iterator[Flow]:
    """A flow for each class and incoming port: so the counters tell which nodes got a copy."""
    ports = [port.number for port in paths.network.hosts if port.switch == switch]
    ports += [hop.port for hop in paths.hops(switch)]
    for port in ports:
        for cls in PacketClass:
            fields = {"in_port": port, "metadata": int(cls)}
            key = FlowKey.of(tables.FORWARD, tables.FLOOD, eth_dst=MULTICAST, **fields)
            yield Flow(key, Cookie(Purpose.FLOOD, cls, port), actions=(ToGroup(FLOOD_GROUP),))


def nearest_ports(paths: Paths, switch: str) -> dict[str, HostPort]:
    """For each address, the port nearest to a switch among the ports that reach the address."""
    nearest: dict[str, HostPort] = {}
    for port in paths.network.hosts:
        if not paths.reaches(switch, port.switch):
            continue
        distance = paths.distance(switch, port.switch)
        for address in port.addresses:
            other = nearest.get(address)
            if other is None or distance < paths.distance(switch, other.switch):
                nearest[address] = port
    return nearest


def address_flows(
    switch: str, address: str, port: HostPort, actions: Mapping[int | None, tuple[Action, ...]]
) -> Iterator[Flow]:
    """Requests for one address go to its port; its owner's announcements go to everybody.

    ``port`` is the address's port that is nearest to ``switch``, and ``actions`` bring a packet
    there, see ``SwitchForwarding``.
    """
    request: dict[str, Value] = {
        "eth_dst": BROADCAST,
        "eth_type": ARP,
        "arp_op": _REQUEST,
        "arp_tpa": address,
    }
    here = port.switch == switch
    control = PacketClass.CONTROL
    cookie = Cookie(Purpose.ASKED, control, port.number) if here else Cookie(Purpose.TRANSIT)
    for in_port, ways in actions.items():
        by: dict[str, Value] = {} if in_port is None else {"in_port": in_port}
        priority = tables.DIRECTED + len(by)
        key = FlowKey.of(tables.FORWARD, priority, **request, **by)
        yield Flow(key, cookie, actions=ways)
    # An announcement asks for the address that it comes from.
    came: dict[str, Value] = {"in_port": port.number} if here else {}
    cookie = Cookie(Purpose.FLOOD, control, port.number if here else 0)
    key = FlowKey.of(tables.FORWARD, tables.ANNOUNCED, arp_spa=address, **request, **came)
    yield Flow(key, cookie, actions=(ToGroup(FLOOD_GROUP),))
