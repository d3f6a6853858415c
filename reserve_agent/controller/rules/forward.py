"""The third table: where a packet goes.

A packet goes by its hardware address along shortest ways. Where there is a second way, a
fast-failover group takes it as soon as a port goes down, without the controller. A switch that is
cut off from a packet's next stop sends the packet on a *detour*: to a neighbour that has another
way, or to another port of the same node. A packet on a detour carries an address that says so. It
comes nearer with every link and never takes a second detour, so it never goes in a circle, whatever
else is down. The last switch restores the address that the node knows.
"""

from __future__ import annotations

from collections.abc import Iterator

from reserve_agent.contract.packets import PacketClass
from reserve_agent.controller.rules import tables
from reserve_agent.controller.rules.cookie import Cookie, Purpose
from reserve_agent.controller.rules.paths import Hop, Paths
from reserve_agent.controller.rules.state import (
    IN_PORT,
    Action,
    Bucket,
    Flow,
    FlowKey,
    Group,
    Output,
    SetField,
    ToGroup,
    Value,
)
from reserve_agent.controller.wiring import HostPort

FLOOD_GROUP = 1
_FROM_ANYWHERE, _FROM_LINK, _DETOUR = 1 << 16, 2 << 16, 3 << 16
_DETOUR_BIT = 0x08


def detour_address(mac: str) -> str:
    """The hardware address of a node for packets on a detour: one more bit of the first octet."""
    return f"{int(mac[:2], 16) ^ _DETOUR_BIT:02x}{mac[2:]}"


class SwitchForwarding:
    """Flows and groups of one switch, for the packets to each node's port.

    Attributes:
        groups: By number, of all flows that were asked for.
        actions: What brings a packet to a port, by incoming port where that makes a difference;
            None stands for any other incoming port.
    """

    def __init__(self, paths: Paths, switch: str) -> None:
        self._paths = paths
        self._switch = switch
        self._order = {port: index for index, port in enumerate(paths.network.hosts)}
        self.groups: dict[int, Group] = {}
        self.actions: dict[HostPort, dict[int | None, tuple[Action, ...]]] = {}

    def local_addresses(self, port: HostPort) -> tuple[str, ...]:
        """Hardware addresses that packets for a port of this switch may carry."""
        if self._paths.network.links:
            return port.mac, detour_address(port.mac)
        return (port.mac,)

    def flows(self, port: HostPort) -> Iterator[Flow]:
        """The flows for one port, on this switch or another.

        Packets from another switch have flows of their own where that makes a difference: OpenFlow
        never sends a packet out of its incoming port, unless an action says so.
        """
        if not self._paths.reaches(self._switch, port.switch):
            return
        number = self._order[port]
        ways = self._ways(port, None)
        yield from self._unicast(port, ways, _FROM_ANYWHERE + number)
        for came in self._paths.hops(self._switch):
            by_link = self._ways(port, came)
            if by_link != ways:
                group = _FROM_LINK + (came.port << 20) + number
                yield from self._unicast(port, by_link, group, in_port=came.port)
        yield from self._detoured(port, number)

    def _unicast(
        self, port: HostPort, ways: list[Bucket], group: int, in_port: int | None = None
    ) -> Iterator[Flow]:
        actions = self._chosen(ways, group)
        self.actions.setdefault(port, {})[in_port] = actions
        came: dict[str, Value] = {} if in_port is None else {"in_port": in_port}
        priority = tables.FROM_LINK if came else tables.UNICAST
        if port.switch != self._switch:
            key = FlowKey.of(tables.FORWARD, priority, eth_dst=port.mac, **came)
            yield Flow(key, Cookie(Purpose.TRANSIT), actions=actions)
            return
        for cls in PacketClass:
            key = FlowKey.of(tables.FORWARD, priority, metadata=int(cls), eth_dst=port.mac, **came)
            yield Flow(key, Cookie(Purpose.DELIVER, cls, port.number), actions=actions)

    def _chosen(self, ways: list[Bucket], group: int) -> tuple[Action, ...]:
        if len(ways) < 2:
            return ways[0].actions if ways else ()
        self.groups[group] = Group(tuple(ways))
        return (ToGroup(group),)

    def _ways(self, port: HostPort, came: Hop | None) -> list[Bucket]:
        """All ways, the best first, for packets from one link, or from anywhere."""
        if port.switch == self._switch:
            ways = [_out(port.number)]
        else:
            hops = self._spread(self._paths.nearer(self._switch, port.switch), port)
            ways = [_out(hop.port) for hop in hops if hop != came]
            ways += self._detours(port, came)
        for other in self._paths.stand_ins(port):
            ways += self._ways_to_stand_in(other, came)
        return ways

    def _spread(self, hops: list[Hop], port: HostPort) -> list[Hop]:
        """Rotate equal ways, so that not all ports have the same first way."""
        start = self._order[port] % len(hops) if hops else 0
        return hops[start:] + hops[:start]

    def _detours(self, port: HostPort, came: Hop | None) -> list[Bucket]:
        """Ways by neighbours that are not nearer but have a way around this switch."""
        paths, here, there = self._paths, self._switch, port.switch
        helpful = [
            hop
            for hop in paths.hops(here)
            if paths.distance(hop.switch, there) >= paths.distance(here, there)
            and paths.nearer_without(hop.switch, there, here)
        ]
        address = detour_address(port.mac)
        return [_out_or_back(hop, came, address) for hop in self._spread(helpful, port)]

    def _ways_to_stand_in(self, other: HostPort, came: Hop | None) -> list[Bucket]:
        if other.switch == self._switch:
            return [_out(other.number, other.mac)]
        address = detour_address(other.mac)
        hops = self._paths.nearer(self._switch, other.switch)
        return [_out_or_back(hop, came, address) for hop in hops]

    def _detoured(self, port: HostPort, number: int) -> Iterator[Flow]:
        """Ways for packets that are on a detour already."""
        if not self._paths.network.links:
            return
        address = detour_address(port.mac)
        if port.switch == self._switch:
            actions = (SetField("eth_dst", port.mac), Output(port.number))
            for cls in PacketClass:
                cookie = Cookie(Purpose.DELIVER, cls, port.number)
                table, priority = tables.FORWARD, tables.UNICAST
                key = FlowKey.of(table, priority, metadata=int(cls), eth_dst=address)
                yield Flow(key, cookie, actions=actions)
            return
        for came in self._paths.hops(self._switch):
            hops = self._paths.nearer_without(self._switch, port.switch, came.switch)
            if not hops:
                continue
            ways = [_out(hop.port) for hop in self._spread(hops, port)]
            group = _DETOUR + (came.port << 20) + number
            table, priority = tables.FORWARD, tables.FROM_LINK
            key = FlowKey.of(table, priority, eth_dst=address, in_port=came.port)
            yield Flow(key, Cookie(Purpose.TRANSIT), actions=self._chosen(ways, group))


def _out(port: int, address: str | None = None) -> Bucket:
    rewritten = (SetField("eth_dst", address),) if address else ()
    return Bucket((*rewritten, Output(port)), watch=port)


def _out_or_back(hop: Hop, came: Hop | None, address: str) -> Bucket:
    if hop != came:
        return _out(hop.port, address)
    return Bucket((SetField("eth_dst", address), Output(IN_PORT)), watch=hop.port)
