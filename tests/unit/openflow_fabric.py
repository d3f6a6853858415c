"""A network of switches that do what their flows say: OpenFlow's pipeline, as far as it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reserve_agent.controller.rules.state import (
    ANY_PORT,
    CONTROLLER,
    IN_PORT,
    Action,
    Bucket,
    Flow,
    Group,
    Output,
    SetField,
    SwitchState,
    Value,
)
from reserve_agent.controller.wiring import HostPort, Network, Switch, SwitchLink

Fields = dict[str, Value]
MOST_HOPS = 50


def star(nodes: int = 3) -> Network:
    """Nodes n1.. at ports 1.. of one switch."""
    hosts = (host("s1", number, f"n{number}", number) for number in range(1, nodes + 1))
    return Network((Switch("s1", 1),), tuple(hosts))


def host(switch: str, port: int, node: str, mac: int, *addresses: str) -> HostPort:
    """A host's port; addresses are by default 10.0.0.``mac``."""
    found = addresses or (f"10.0.0.{mac}",)
    return HostPort(switch, port, f"{switch}-{port}", node, f"02:00:00:00:00:{mac:02x}", found)


def redundant() -> Network:
    """Switches a and b with a link; n1, n2 and n3 on both, each with one address by either."""
    hosts = [
        host(switch, number, f"n{number}", mac + number, f"10.0.0.{number}", f"{ring}.{number}")
        for switch, mac, ring in (("a", 0, "10.0.1"), ("b", 16, "10.0.2"))
        for number in (1, 2, 3)
    ]
    switches = (Switch("a", 1), Switch("b", 2))
    return Network(switches, tuple(hosts), (SwitchLink("a", 10, "b", 10),))


def leaf_spine(leaves: int = 2, nodes: int = 2) -> Network:
    """``leaves`` switches with ``nodes`` nodes each, every one linked to two spines."""
    names = [f"l{number}" for number in range(1, leaves + 1)]
    switches = [Switch(name, number) for number, name in enumerate([*names, "p1", "p2"], 1)]
    hosts, links = [], []
    for index, leaf in enumerate(names):
        for port in range(1, nodes + 1):
            mac = index * nodes + port
            hosts.append(host(leaf, port, f"n{mac}", mac))
        for spine in (1, 2):
            links.append(SwitchLink(leaf, 100 + spine, f"p{spine}", 1 + index))
    return Network(tuple(switches), tuple(hosts), tuple(links))


@dataclass(frozen=True)
class Arrival:
    """A packet at a host: its port, and the packet."""

    port: HostPort
    fields: Mapping[str, Value]


class Fabric:
    """Sends packets through the flows; a port or a switch in ``down`` passes nothing."""

    def __init__(self, network: Network, states: Mapping[int, SwitchState]) -> None:
        self.network = network
        self.down: set[tuple[str, int]] = set()
        self.counts: Counter[tuple[str, Flow]] = Counter()
        self.copies: list[Fields] = []
        self._states = {switch.name: states[switch.dpid] for switch in network.switches}
        self._hosts = {(port.switch, port.number): port for port in network.hosts}
        self._links = {}
        for link in network.links:
            self._links[link.a, link.port_a] = (link.b, link.port_b)
            self._links[link.b, link.port_b] = (link.a, link.port_a)

    def fail(self, switch: str, port: int) -> None:
        """Take a port down, and the other end of its link with it."""
        self.down.add((switch, port))
        if (switch, port) in self._links:
            self.down.add(self._links[switch, port])

    def fail_switch(self, name: str) -> None:
        """Take all its ports down."""
        for switch, port in [*self._links, *self._hosts]:
            if switch == name:
                self.fail(switch, port)

    def send(self, source: HostPort, **fields: Value) -> list[Arrival]:
        """Where a host's packet arrives."""
        if (source.switch, source.number) in self.down:
            return []
        return list(self._enter(source.switch, source.number, fields, MOST_HOPS))

    def _enter(self, switch: str, port: int, fields: Fields, hops: int) -> Iterator[Arrival]:
        if hops == 0:
            raise AssertionError(f"a packet goes in a circle: {fields}")
        for out, packet in self._pipeline(switch, {**fields, "in_port": port, "metadata": 0}):
            if (switch, out) in self.down:
                continue
            if (switch, out) in self._hosts:
                yield Arrival(self._hosts[switch, out], packet)
            elif (switch, out) in self._links:
                yield from self._enter(*self._links[switch, out], packet, hops - 1)

    def _pipeline(self, switch: str, packet: Fields) -> Iterator[tuple[int, Fields]]:
        table: int | None = 0
        while table is not None:
            flow = self._lookup(switch, table, packet)
            if flow is None:
                return
            self.counts[switch, flow] += 1
            yield from self._apply(switch, flow.actions, packet)
            if flow.cls is not None:
                packet["metadata"] = flow.cls
            table = flow.goto

    def _lookup(self, switch: str, table: int, packet: Fields) -> Flow | None:
        matching = [
            flow
            for flow in self._states[switch].flows.values()
            if flow.key.table == table and _matches(flow.key.match, packet)
        ]
        best = max((flow.key.priority for flow in matching), default=None)
        chosen = [flow for flow in matching if flow.key.priority == best]
        if len(chosen) > 1:
            raise AssertionError(f"it is open which of these holds: {chosen}")
        return chosen[0] if chosen else None

    def _apply(
        self, switch: str, actions: Iterable[Action], packet: Fields
    ) -> Iterator[tuple[int, Fields]]:
        for action in actions:
            if isinstance(action, SetField):
                packet[action.name] = action.value
            elif isinstance(action, Output):
                if action.port == CONTROLLER:
                    self.copies.append(dict(packet))
                elif action.port != packet["in_port"]:
                    port = packet["in_port"] if action.port == IN_PORT else action.port
                    yield int(port), {k: v for k, v in packet.items() if k != "metadata"}
            else:
                group = self._states[switch].groups[action.group]
                for bucket in self._buckets(switch, group):
                    yield from self._apply(switch, bucket.actions, dict(packet))

    def _buckets(self, switch: str, group: Group) -> list[Bucket]:
        if group.kind == "all":
            return list(group.buckets)
        # Open vSwitch refuses a group of this kind with a bucket that watches nothing.
        assert all(one.watch != ANY_PORT for one in group.buckets)
        return [one for one in group.buckets if (switch, one.watch) not in self.down][:1]


def _matches(match: Iterable[tuple[str, Value]], packet: Fields) -> bool:
    return all(_field_matches(wanted, packet.get(name)) for name, wanted in match)


def _field_matches(wanted: Value, found: Value | None) -> bool:
    if isinstance(wanted, str) and "/" in wanted:
        return isinstance(found, str) and int(found[:2], 16) & 1 == 1  # the group bit's mask
    return wanted == found
