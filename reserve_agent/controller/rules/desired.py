"""From network, classes, settings and pressure to what every switch should hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reserve_agent.contract.packets import PortRule
from reserve_agent.controller.rules import tables
from reserve_agent.controller.rules.broadcast import (
    address_flows,
    flood_flows,
    flood_group,
    nearest_ports,
)
from reserve_agent.controller.rules.classify import LOOKS, classify_flows
from reserve_agent.controller.rules.cookie import Cookie, Purpose
from reserve_agent.controller.rules.forward import FLOOD_GROUP, SwitchForwarding
from reserve_agent.controller.rules.paths import Paths, flood_tree
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.rules.shed import pressure_flows, shed_meters
from reserve_agent.controller.rules.state import (
    CONTROLLER_METER,
    Flow,
    FlowKey,
    SwitchState,
    by_key,
)
from reserve_agent.controller.wiring import HostPort, Network, SwitchLink


def desired_state(
    network: Network,
    classes: Collection[PortRule],
    shed: Shed,
    pressure: Collection[str] = (),
    tree: Collection[SwitchLink] | None = None,
) -> dict[int, SwitchState]:
    """What every switch should hold, by datapath id.

    The nodes named in ``pressure`` are under pressure now; floods take the links of ``tree``, or
    of ``flood_tree`` of the whole network where it is None.
    """
    paths = Paths(network)
    links = flood_tree(network) if tree is None else tree
    first = list(classify_flows(classes))
    states = {}
    for switch in network.switches:
        forwarding = SwitchForwarding(paths, switch.name)
        ports = [port for port in network.hosts if port.switch == switch.name]
        flows = [*first, *_misses(), *_forward_flows(paths, forwarding, switch.name)]
        for port in ports:
            addresses = forwarding.local_addresses(port)
            pressed = port.node in pressure
            flows += pressure_flows(port, addresses, shed, under_pressure=pressed)
        states[switch.dpid] = SwitchState(
            flows=by_key(flows),
            meters={CONTROLLER_METER: LOOKS, **shed_meters(ports, shed)},
            groups={FLOOD_GROUP: flood_group(paths, switch.name, links), **forwarding.groups},
        )
    return states


def _misses() -> Iterator[Flow]:
    key = FlowKey(tables.PRESSURE, tables.MISS)
    yield Flow(key, Cookie(Purpose.MISS), goto=tables.FORWARD)
    yield Flow(FlowKey(tables.FORWARD, tables.MISS), Cookie(Purpose.MISS))


def _forward_flows(paths: Paths, forwarding: SwitchForwarding, switch: str) -> Iterator[Flow]:
    for port in paths.network.hosts:
        yield from forwarding.flows(port)
    yield from flood_flows(paths, switch)
    if paths.network.links:
        for address, port in nearest_ports(paths, switch).items():
            yield from address_flows(switch, address, port, forwarding.actions[port])


def pressure_change(
    network: Network, shed: Shed, node: str, *, under_pressure: bool
) -> dict[int, list[Flow]]:
    """The flows of ``desired_state`` that differ by one node's pressure, by datapath id.

    Only these flows are computed and sent when pressure comes, since time counts then.
    """
    if shed.mode == "off":
        return {}
    paths = Paths(network)
    changed: dict[int, list[Flow]] = {}
    for switch in network.switches:
        forwarding = SwitchForwarding(paths, switch.name)
        for port in network.hosts:
            if port.node == node and port.switch == switch.name:
                flows = _shed_flows(port, forwarding, shed, under_pressure=under_pressure)
                changed.setdefault(switch.dpid, []).extend(flows)
    return changed


def _shed_flows(
    port: HostPort, forwarding: SwitchForwarding, shed: Shed, *, under_pressure: bool
) -> list[Flow]:
    addresses = forwarding.local_addresses(port)
    wanted = pressure_flows(port, addresses, shed, under_pressure=under_pressure)
    other = by_key(pressure_flows(port, addresses, shed, under_pressure=not under_pressure))
    return [flow for flow in wanted if other[flow.key] != flow]
