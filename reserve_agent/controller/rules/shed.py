"""The second table: packets to a node under pressure are shed at the switch, by their class.

The flows are there from the start, one for each class and node behind a port of the switch, and
pass packets on to the next table. Pressure changes what a flow does, and its counters are kept. So
shedding is one small message, and packets that this table counts and the third does not were shed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reserve_agent.contract.packets import PacketClass
from reserve_agent.controller.rules import tables
from reserve_agent.controller.rules.classify import IPV4, IPV6
from reserve_agent.controller.rules.cookie import Cookie, Purpose
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.state import Flow, FlowKey, Meter, SetField, Value
from reserve_agent.controller.wiring import HostPort

DEFERRED_DSCP = 1
"""Lower effort (RFC 8622): switch ports in mode ``queue`` hold what is marked so."""


def pressure_flows(
    port: HostPort, addresses: Collection[str], shed: Shed, *, under_pressure: bool
) -> Iterator[Flow]:
    """The flows on a port's switch for packets to the node behind the port.

    ``addresses`` are the hardware addresses that such packets may carry.
    """
    for cls in PacketClass:
        shed_now = under_pressure and cls in shed.classes
        for address in addresses:
            yield from _flows(port, cls, address, shed, shed_now=shed_now)


def _flows(
    port: HostPort, cls: PacketClass, address: str, shed: Shed, *, shed_now: bool
) -> Iterator[Flow]:
    cookie = Cookie(Purpose.PRESSURE, cls, port.number)
    fields: dict[str, Value] = {"metadata": int(cls), "eth_dst": address}
    key = FlowKey.of(tables.PRESSURE, tables.UNICAST, **fields)
    if shed_now and shed.mode == "drop":
        yield Flow(key, cookie)
        return
    meter = port.number if shed_now and shed.mode == "meter" else 0
    yield Flow(key, cookie, meter=meter, goto=tables.FORWARD)
    if shed.mode == "queue" and cls in shed.classes:
        # Only IP can be marked, and a flow may mark only what it matches: one for each version.
        mark = (SetField("ip_dscp", DEFERRED_DSCP),) if shed_now else ()
        for kind in (IPV4, IPV6):
            key = FlowKey.of(tables.PRESSURE, tables.UNICAST + 1, eth_type=kind, **fields)
            yield Flow(key, cookie, actions=mark, goto=tables.FORWARD)


def shed_meters(ports: Collection[HostPort], shed: Shed) -> dict[int, Meter]:
    """A meter for each node behind a switch, by port; it exists also while nothing is shed."""
    if shed.mode != "meter":
        return {}
    return {port.number: Meter(shed.rate_kbit, shed.burst_kbit) for port in ports}
