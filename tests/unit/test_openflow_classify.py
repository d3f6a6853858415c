"""The controller's first table against the hooks' own reading of the same frames."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.controller.rules import tables
from reserve_agent.controller.rules.classify import (
    ARP,
    ICMP,
    ICMPV6,
    IPV4,
    IPV6,
    SCTP,
    TCP,
    UDP,
    classify_flows,
    known_flows,
)
from reserve_agent.controller.rules.desired import desired_state
from reserve_agent.controller.rules.first_bytes import Connection
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.state import SwitchState, by_key
from reserve_agent.model.packet import parse
from tests.system import frames
from tests.unit.openflow_fabric import Fabric, star

RULES = (
    PortRule(10809, TCP, PacketClass.BLOCK_IO),
    PortRule(3260, TCP, PacketClass.BLOCK_IO),
    PortRule(7700, UDP, PacketClass.HEARTBEAT),
    PortRule(5405, UDP, PacketClass.HEARTBEAT),
    PortRule(5405, SCTP, PacketClass.HEARTBEAT),
    PortRule(9, UDP, PacketClass.OTHER),
)
_NAMES = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}


def class_at_switch(rules: tuple[PortRule, ...], **fields: Any) -> PacketClass:
    """What the flows make of a packet to n2."""
    network = star()
    fabric = Fabric(network, desired_state(network, rules, Shed()))
    n1, n2 = network.hosts[:2]
    (arrival,) = fabric.send(n1, eth_dst=n2.mac, **fields)
    assert arrival.port == n2
    flow = next(one for _, one in fabric.counts if one.key.table == tables.CLASSIFY)
    assert flow.cookie.cls == flow.cls
    return PacketClass(flow.cls)


@pytest.mark.parametrize("kind", [IPV4, IPV6])
@pytest.mark.parametrize(
    ("protocol", "port", "cls"),
    [(rule.protocol, rule.port, rule.cls) for rule in RULES]
    + [(TCP, 22, PacketClass.OTHER), (UDP, 10809, PacketClass.OTHER)],
)
def test_a_port_means_its_class_at_either_end(
    kind: int, protocol: int, port: int, cls: PacketClass
) -> None:
    name = _NAMES[protocol]
    for source, destination in ((port, 40000), (40000, port)):
        ports = {f"{name}_src": source, f"{name}_dst": destination}
        found = class_at_switch(RULES, eth_type=kind, ip_proto=protocol, **ports)
        assert found is cls


@pytest.mark.parametrize(
    "fields",
    [
        {"eth_type": ARP},
        {"eth_type": IPV4, "ip_proto": ICMP},
        {"eth_type": IPV6, "ip_proto": ICMPV6},
    ],
)
def test_what_keeps_the_network_together_is_control(fields: dict[str, int]) -> None:
    assert class_at_switch(RULES, **fields) is PacketClass.CONTROL


def test_what_nobody_knows_is_other() -> None:
    assert class_at_switch(RULES, eth_type=0x88CC) is PacketClass.OTHER


ports = st.sampled_from([22, 80, 3260, 5405, 7700, 10809])
rules = st.lists(
    st.builds(
        PortRule,
        port=ports,
        protocol=st.sampled_from([TCP, UDP, SCTP]),
        cls=st.sampled_from([PacketClass.BLOCK_IO, PacketClass.HEARTBEAT, PacketClass.OTHER]),
    ),
    max_size=8,
)


@given(rules, st.sampled_from([TCP, UDP, SCTP]), ports, ports)
def test_the_switch_and_the_hooks_agree(
    rules: list[PortRule], protocol: int, source: int, destination: int
) -> None:
    makers = {TCP: lambda a, b: frames.tcp(a, b, 1), UDP: frames.udp, SCTP: frames.sctp}
    frame = frames.frame(IPV4, frames.ipv4(protocol, makers[protocol](source, destination)))
    name = _NAMES[protocol]
    fields = {f"{name}_src": source, f"{name}_dst": destination}
    found = class_at_switch(tuple(rules), eth_type=IPV4, ip_proto=protocol, **fields)
    assert found is parse(frame, rules).cls


def test_only_connections_that_ports_say_nothing_of_are_looked_at() -> None:
    network = star()
    fabric = Fabric(network, desired_state(network, RULES, Shed()))
    n1, n2 = network.hosts[:2]
    common = {"eth_dst": n2.mac, "eth_type": IPV4, "tcp_src": 40000}
    fabric.send(n1, ip_proto=TCP, tcp_dst=10809, **common)
    fabric.send(n1, ip_proto=UDP, udp_dst=1234, udp_src=40000, eth_dst=n2.mac, eth_type=IPV4)
    assert not fabric.copies
    fabric.send(n1, ip_proto=TCP, tcp_dst=20000, **common)
    assert len(fabric.copies) == 1


@pytest.mark.parametrize("cls", [PacketClass.BLOCK_IO, PacketClass.OTHER])
def test_a_connection_that_was_looked_at_is_not_looked_at_again(cls: PacketClass) -> None:
    connection = Connection(IPV4, "10.0.0.1", 40000, "10.0.0.2", 20000)
    network = star()
    (state,) = desired_state(network, RULES, Shed()).values()
    known = by_key(known_flows(connection, cls))
    fabric = Fabric(network, {1: SwitchState({**state.flows, **known}, {}, state.groups)})
    n1, n2 = network.hosts[:2]
    there = {"ipv4_src": "10.0.0.1", "ipv4_dst": "10.0.0.2", "tcp_src": 40000, "tcp_dst": 20000}
    back = {"ipv4_src": "10.0.0.2", "ipv4_dst": "10.0.0.1", "tcp_src": 20000, "tcp_dst": 40000}
    for source, target, fields in ((n1, n2, there), (n2, n1, back)):
        arrivals = fabric.send(source, eth_dst=target.mac, eth_type=IPV4, ip_proto=TCP, **fields)
        assert [arrival.port for arrival in arrivals] == [target]
    assert not fabric.copies
    seen = [flow for _, flow in fabric.counts if flow.key.table == tables.CLASSIFY]
    assert [flow.cls for flow in seen] == [cls, cls]
    assert all(flow.idle_timeout for flow in seen)


def test_no_two_flows_have_the_same_match() -> None:
    twice = (*RULES, PortRule(3260, TCP, PacketClass.OTHER))
    by_key(classify_flows(twice))  # raises where two have
