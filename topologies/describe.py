"""The layout of a run by the name of its topology, and its description for a controller."""

from __future__ import annotations

from typing import Final

from reserve_agent.contract.topologies import TOPOLOGIES, Topology
from reserve_agent.controller.wiring import HostPort, Network, Switch, SwitchLink
from reserve_agent.errors import BadInput
from topologies import layout
from topologies.layout import Layout

STORAGE: Final = "storage"


def plan(topology: Topology, nodes: int, leaves: int, run_id: str) -> Layout:
    """The layout of a run, or BadInput; only "leaf-spine" uses ``leaves``, switches with hosts."""
    if topology == "leaf-spine":
        return layout.leaf_spine(nodes, leaves, run_id)
    makers = {"star": layout.star, "split": layout.split, "redundant": layout.redundant}
    if topology not in makers:
        raise BadInput(f"topology: expected one of {', '.join(TOPOLOGIES)}, got {topology!r}")
    return makers[topology](nodes, run_id)


def logical_name(host_name: str, run_id: str) -> str:
    """The project's name, ``n1``.. or ``storage``, of a host by Mininet's name."""
    short = host_name.removeprefix(run_id)
    return STORAGE if short == "st" else short


def describe(network: Layout, run_id: str) -> Network:
    """A layout in the form that an OpenFlow controller takes."""
    hosts = [
        HostPort(
            switch=link.port.switch,
            number=link.port.number,
            name=link.port.interface,
            node=logical_name(host.name, run_id),
            mac=link.mac,
            addresses=(link.ip, *([host.host_address] if host.host_address else [])),
            network=link.network,
        )
        for host in network.hosts
        for link in host.links
    ]
    links = [
        SwitchLink(trunk.one.switch, trunk.one.number, trunk.other.switch, trunk.other.number)
        for trunk in network.trunks
    ]
    switches = tuple(Switch(switch.name, switch.dpid) for switch in network.switches)
    return Network(switches, tuple(hosts), tuple(links))
