"""The first table: what is a packet? The same rules as in the nodes' hooks.

A match on an EtherType holds behind a VLAN tag too, so tagged frames need no flows of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.controller.rules import tables
from reserve_agent.controller.rules.cookie import Cookie, Purpose
from reserve_agent.controller.rules.first_bytes import Connection
from reserve_agent.controller.rules.state import CONTROLLER, Flow, FlowKey, Meter, Output, Value

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
_PORT_FIELDS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
LOOKS = Meter(rate=500, burst=100, unit="packets")
"""Copies for the controller: a connection needs a handful, and a flood of them would stall it."""
KNOWN_SECONDS = 60
"""A connection that is silent for so long is looked at again."""


def classify_flows(classes: Collection[PortRule]) -> Iterator[Flow]:
    """Flows of the first table; the first rule for a port counts."""
    done: set[tuple[int, int]] = set()
    for index, rule in enumerate(classes):
        if rule.protocol in _PORT_FIELDS and (rule.protocol, rule.port) not in done:
            done.add((rule.protocol, rule.port))
            yield from _rule_flows(rule, tables.RULE - 2 * index)
    control = PacketClass.CONTROL
    yield _class_flow(tables.FIXED, control, eth_type=ARP)
    for kind in (IPV4, IPV6):
        for protocol in (ICMP, ICMPV6):
            yield _class_flow(tables.FIXED, control, eth_type=kind, ip_proto=protocol)
        yield Flow(
            FlowKey.of(tables.CLASSIFY, tables.LOOK, eth_type=kind, ip_proto=TCP),
            Cookie(Purpose.LOOK, PacketClass.OTHER),
            actions=(Output(CONTROLLER),),
            cls=PacketClass.OTHER,
            goto=tables.PRESSURE,
        )
    yield _class_flow(tables.MISS, PacketClass.OTHER)


def _rule_flows(rule: PortRule, priority: int) -> Iterator[Flow]:
    """Flows of one rule; its port counts at either end of a packet."""
    name = _PORT_FIELDS[rule.protocol]
    for kind in (IPV4, IPV6):
        for end, above in (("src", 1), ("dst", 0)):
            fields: dict[str, Value] = {f"{name}_{end}": rule.port}
            fields |= {"eth_type": kind, "ip_proto": rule.protocol}
            yield _class_flow(priority + above, rule.cls, **fields)


def _class_flow(priority: int, cls: PacketClass, **fields: Value) -> Flow:
    key = FlowKey.of(tables.CLASSIFY, priority, **fields)
    purpose = Purpose.CLASSIFY if fields else Purpose.MISS
    return Flow(key, Cookie(purpose, cls), cls=cls, goto=tables.PRESSURE)


def known_flows(connection: Connection, cls: PacketClass) -> Iterator[Flow]:
    """Flows for both directions of one connection whose first bytes were seen.

    The flows remove themselves after ``KNOWN_SECONDS`` of silence.
    """
    for one in (connection, connection.reversed()):
        version = "ipv4" if one.eth_type == IPV4 else "ipv6"
        fields: dict[str, Value] = {
            "eth_type": one.eth_type,
            "ip_proto": TCP,
            f"{version}_src": one.source,
            f"{version}_dst": one.destination,
            "tcp_src": one.source_port,
            "tcp_dst": one.destination_port,
        }
        yield Flow(
            FlowKey.of(tables.CLASSIFY, tables.KNOWN, **fields),
            Cookie(Purpose.KNOWN, cls),
            cls=cls,
            goto=tables.PRESSURE,
            idle_timeout=KNOWN_SECONDS,
        )
