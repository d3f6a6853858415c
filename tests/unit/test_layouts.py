"""What is wired to what in each topology, before any of it is made."""

from __future__ import annotations

from itertools import combinations

import orjson
import pytest

from reserve_agent.config_files import build
from reserve_agent.contract.topologies import TOPOLOGIES, Topology
from reserve_agent.controller.wiring import Network
from reserve_agent.errors import BadInput
from topologies import layout
from topologies.cluster import Cluster
from topologies.describe import describe, plan
from topologies.layout import Layout
from topologies.node import ClusterNode, NodeLink

RUN_ID = "k3xq"


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_names_ports_and_addresses_are_there_once(topology: Topology) -> None:
    one, other = (plan(topology, 128, 8, run_id) for run_id in (RUN_ID, "k3xr"))
    for made in (one, other):
        ends = [link.port for host in made.hosts for link in host.links]
        ends += [end for trunk in made.trunks for end in (trunk.one, trunk.other)]
        ports = [(end.switch, end.number) for end in ends]
        assert len(set(ports)) == len(ports)
        for switch in made.switches:
            numbers = sorted(number for name, number in ports if name == switch.name)
            assert numbers == list(range(1, len(numbers) + 1))
        addresses = [link.ip for host in made.hosts for link in host.links]
        addresses += [host.host_address for host in made.hosts if host.host_address]
        assert len(set(addresses)) == len(addresses)
    macs = [mac for made in (one, other) for mac in _macs(made)]
    assert len(set(macs)) == len(macs)
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)
    assert len({switch.dpid for made in (one, other) for switch in made.switches}) == 2 * len(
        one.switches
    )
    interfaces = [link.interface for host in one.hosts for link in host.links]
    interfaces += [end.interface for trunk in one.trunks for end in (trunk.one, trunk.other)]
    assert max(map(len, interfaces)) <= 15


def _macs(made: Layout) -> list[str]:
    macs = [mac for host in made.hosts for link in host.links for mac in (link.mac, link.port.mac)]
    return macs + [end.mac for trunk in made.trunks for end in (trunk.one, trunk.other)]


def test_split_has_two_networks_and_the_storage_host_on_one() -> None:
    made = layout.split(2, RUN_ID)
    n1, _n2, storage = made.hosts
    assert [(link.network, link.ip, link.port.switch) for link in n1.links] == [
        ("cluster", "10.77.0.1", "k3xqs1"),
        ("storage", "10.77.1.1", "k3xqs2"),
    ]
    assert [(link.network, link.ip) for link in storage.links] == [("storage", "10.77.1.254")]
    assert made.trunks == ()


def test_redundant_is_whole_without_any_one_switch_or_link() -> None:
    made = layout.redundant(3, RUN_ID)
    for gone in made.switches:
        left = {link.port.switch for host in made.hosts for link in host.links} - {gone.name}
        assert all(any(link.port.switch in left for link in host.links) for host in made.hosts)
    assert {link.network for host in made.hosts for link in host.links} == {"a", "b"}
    assert [host.host_address for host in made.hosts] == [
        "10.77.0.1",
        "10.77.0.2",
        "10.77.0.3",
        "10.77.0.254",
    ]


def test_every_leaf_is_linked_to_both_spines_and_nodes_are_dealt() -> None:
    made = layout.leaf_spine(5, leaves=3, run_id=RUN_ID)
    spines, leaves = ("k3xqs1", "k3xqs2"), ("k3xqs3", "k3xqs4", "k3xqs5")
    assert {(trunk.one.switch, trunk.other.switch) for trunk in made.trunks} == {
        (leaf, spine) for leaf in leaves for spine in spines
    }
    assert [host.links[0].port.switch for host in made.hosts] == [*leaves, *leaves[:2], leaves[2]]
    assert made.has_loops
    assert not layout.leaf_spine(2, leaves=1).has_loops


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_controller_is_told_of_it_and_can_send_it_as_json(topology: Topology) -> None:
    told = Cluster(RUN_ID, nodes=4, topology=topology).description()
    assert build(orjson.loads(orjson.dumps(told)), Network) == told
    assert {host.node for host in told.hosts} == {"n1", "n2", "n3", "n4", "storage"}


def test_two_ports_of_one_node_share_its_own_address() -> None:
    told = describe(layout.redundant(2, RUN_ID), RUN_ID)
    for node in ("n1", "n2", "storage"):
        one, other = (host for host in told.hosts if host.node == node)
        assert len(set(one.addresses) & set(other.addresses)) == 1
    for one, other in combinations(told.hosts, 2):
        if one.node != other.node:
            assert not set(one.addresses) & set(other.addresses)


def test_an_unknown_topology() -> None:
    with pytest.raises(BadInput, match="one of star, split, redundant, leaf-spine, got 'ring'"):
        plan("ring", 3, 2, RUN_ID)  # type: ignore[arg-type]


def test_the_address_on_a_network() -> None:
    a, b = NodeLink("eth0", "p0", "10.77.1.1", "a"), NodeLink("eth1", "p1", "10.77.2.1", "b")
    both = ClusterNode("n1", "n1", 1, (a, b), "10.77.0.1")
    assert (both.address("a"), both.address("b")) == ("10.77.1.1", "10.77.2.1")
    assert both.address("storage") == both.address("cluster") == "10.77.0.1"
    assert both.addresses == ("10.77.0.1", "10.77.1.1", "10.77.2.1")
    only = ClusterNode("storage", "st", 1, (NodeLink("eth0", "p", "10.77.1.254", "storage"),))
    assert only.address("storage") == only.address("cluster") == "10.77.1.254"
