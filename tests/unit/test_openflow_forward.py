"""Where packets go, with everything up and with anything down, and what is shed on the way."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import pytest

from reserve_agent.contract.packets import PacketClass, PortRule
from reserve_agent.controller.rules.classify import ARP, IPV4, UDP
from reserve_agent.controller.rules.desired import desired_state, pressure_change
from reserve_agent.controller.rules.difference import difference
from reserve_agent.controller.rules.paths import flood_tree
from reserve_agent.controller.rules.settings import Shed, ShedMode
from reserve_agent.controller.rules.shed import DEFERRED_DSCP
from reserve_agent.controller.rules.state import SwitchState
from reserve_agent.controller.wiring import HostPort, Network, SwitchLink
from tests.unit.openflow_fabric import Arrival, Fabric, leaf_spine, redundant, star

HEARTBEAT = PortRule(7700, UDP, PacketClass.HEARTBEAT)
NETWORKS = [star(), redundant(), leaf_spine(2), leaf_spine(4)]
IDS = ["star", "redundant", "two leaves", "four leaves"]
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def fabric(network: Network, shed: Shed | None = None, *pressed: str) -> Fabric:
    return Fabric(network, desired_state(network, [HEARTBEAT], shed or Shed(), pressed))


def datagram(source: HostPort, target: HostPort, port: int = 1234) -> dict[str, Any]:
    return {
        "eth_src": source.mac,
        "eth_dst": target.mac,
        "eth_type": IPV4,
        "ip_proto": UDP,
        "udp_src": 40000,
        "udp_dst": port,
    }


def ports_of(arrivals: list[Arrival]) -> list[HostPort]:
    return [arrival.port for arrival in arrivals]


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
def test_every_host_reaches_every_other(network: Network) -> None:
    net = fabric(network)
    for source, target in permutations(network.hosts, 2):
        (arrival,) = net.send(source, **datagram(source, target))
        assert arrival.port == target
        assert arrival.fields["eth_dst"] == target.mac


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
def test_a_broadcast_reaches_every_host_once(network: Network) -> None:
    net = fabric(network)
    for source in network.hosts:
        arrivals = ports_of(net.send(source, eth_dst=EVERYBODY, eth_type=0x88CC))
        others = {port for port in network.hosts if port != source}
        assert set(arrivals) == others
        assert len(arrivals) == len(others)


def test_a_switch_delivers_to_nobody_it_does_not_know() -> None:
    network = star()
    assert not fabric(network).send(network.hosts[0], eth_dst="02:00:00:00:00:77", eth_type=IPV4)


def test_networks_without_a_link_between_them_stay_apart() -> None:
    one, other = star(2), star(2)
    apart = Network(
        (*one.switches, type(one.switches[0])("s2", 2)),
        (
            *one.hosts,
            *(
                HostPort("s2", host.number, "x", host.node, f"04{host.mac[2:]}", ("10.1.0.1",))
                for host in other.hosts
            ),
        ),
    )
    net = fabric(apart)
    assert ports_of(net.send(apart.hosts[0], **datagram(apart.hosts[0], apart.hosts[1])))
    assert not net.send(apart.hosts[0], **datagram(apart.hosts[0], apart.hosts[2]))


@pytest.mark.parametrize("network", [leaf_spine(2), leaf_spine(4)], ids=["two", "four"])
@pytest.mark.parametrize("link", range(4))
def test_any_one_link_between_switches_may_fail(network: Network, link: int) -> None:
    net = fabric(network)
    net.fail(network.links[link].a, network.links[link].port_a)
    for source, target in permutations(network.hosts, 2):
        (arrival,) = net.send(source, **datagram(source, target))
        assert arrival.port == target
        assert arrival.fields["eth_dst"] == target.mac


@pytest.mark.parametrize("spine", ["p1", "p2"])
def test_a_spine_may_fail_whole(spine: str) -> None:
    network = leaf_spine(4)
    net = fabric(network)
    net.fail_switch(spine)
    for source, target in permutations(network.hosts, 2):
        assert ports_of(net.send(source, **datagram(source, target))) == [target]


def test_the_same_node_is_reached_by_its_other_port() -> None:
    network = redundant()
    for dead in network.hosts:
        net = fabric(network)
        net.fail(dead.switch, dead.number)
        for source in network.hosts:
            if source.node == dead.node:
                continue
            (arrival,) = net.send(source, **datagram(source, dead))
            assert arrival.port.node == dead.node
            assert arrival.port != dead
            assert arrival.fields["eth_dst"] == arrival.port.mac


def test_ports_without_a_common_address_do_not_stand_in_for_each_other() -> None:
    network = redundant()
    hosts = tuple(
        HostPort(**{**vars(port), "addresses": port.addresses[1:]}) for port in network.hosts
    )
    apart = Network(network.switches, hosts, network.links)
    net = fabric(apart)
    net.fail("a", 2)
    assert not net.send(apart.hosts[0], **datagram(apart.hosts[0], apart.hosts[1]))


@pytest.mark.parametrize("network", NETWORKS[1:], ids=IDS[1:])
def test_nothing_goes_in_a_circle_whatever_two_ports_are_down(network: Network) -> None:
    ends = [(link.a, link.port_a) for link in network.links]
    ends += [(port.switch, port.number) for port in network.hosts]
    states = desired_state(network, [HEARTBEAT], Shed())
    for down in combinations(ends, 2):
        net = Fabric(network, states)
        for end in down:
            net.fail(*end)
        for source, target in permutations(network.hosts, 2):
            arrivals = net.send(source, **datagram(source, target))
            assert len(arrivals) <= 1
            assert all(arrival.port.node == target.node for arrival in arrivals)


def request(source: HostPort, address: str, asked_by: str = "10.9.9.9") -> dict[str, Any]:
    return {
        "eth_src": source.mac,
        "eth_dst": EVERYBODY,
        "eth_type": ARP,
        "arp_op": 1,
        "arp_spa": asked_by,
        "arp_tpa": address,
    }


def test_a_request_for_a_known_address_goes_there_alone_even_off_the_tree() -> None:
    network = leaf_spine(4)
    tree = sorted(flood_tree(network), key=str)
    net = fabric(network)
    net.fail(tree[-1].a, tree[-1].port_a)
    for source, target in permutations(network.hosts, 2):
        arrivals = net.send(source, **request(source, target.addresses[0]))
        assert ports_of(arrivals) == [target]


def test_announcements_and_requests_for_a_moving_address_go_to_all() -> None:
    network = leaf_spine(2)
    source = network.hosts[0]
    own = source.addresses[0]
    for fields in (request(source, own, own), request(source, "10.0.0.200")):
        arrivals = ports_of(fabric(network).send(source, **fields))
        assert set(arrivals) == set(network.hosts[1:])


def test_an_address_that_two_ports_have_is_asked_for_at_the_nearer() -> None:
    network = redundant()
    for source in network.hosts:
        for target in network.hosts:
            if target.node != source.node and target.switch == source.switch:
                shared = target.addresses[0]
                arrivals = fabric(network).send(source, **request(source, shared))
                assert ports_of(arrivals) == [target]


def test_the_tree_goes_round_what_is_down_and_changes_no_more_than_it_must() -> None:
    network = leaf_spine(4)
    tree = flood_tree(network)
    assert len(tree) == len(network.switches) - 1
    lost = min(tree, key=str)
    new = flood_tree(network, {(lost.b, lost.port_b)}, tree)
    assert lost not in new
    assert len(new) == len(tree)
    assert len(new - tree) == 1
    assert flood_tree(network, (), new) == new  # no way back when the link is
    net = Fabric(network, desired_state(network, [], Shed(), tree=new))
    arrivals = ports_of(net.send(network.hosts[0], eth_dst=EVERYBODY, eth_type=0x88CC))
    assert sorted(arrivals, key=str) == sorted(network.hosts[1:], key=str)


def test_a_network_in_pieces_has_a_tree_for_each() -> None:
    network = leaf_spine(2)
    tree = flood_tree(network, {(link.a, link.port_a) for link in network.links})
    assert tree == frozenset[SwitchLink]()


MODES: list[ShedMode] = ["drop", "meter", "queue"]


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
def test_drop_keeps_other_traffic_and_nothing_else_from_a_node_under_pressure(
    network: Network,
) -> None:
    net = fabric(network, Shed("drop"), "n2")
    n1 = next(port for port in network.hosts if port.node == "n1")
    for target in network.hosts:
        if target == n1:
            continue
        other = net.send(n1, **datagram(n1, target))
        assert bool(other) == (target.node != "n2")
        assert ports_of(net.send(n1, **datagram(n1, target, 7700))) == [target]
        assert ports_of(net.send(n1, eth_dst=target.mac, eth_type=ARP)) == [target]


def test_drop_holds_on_a_detour_too() -> None:
    network = redundant()
    net = fabric(network, Shed("drop"), "n2")
    net.fail("a", 2)
    n1, n2 = network.hosts[:2]
    assert not net.send(n1, **datagram(n1, n2))
    assert net.send(n1, **datagram(n1, n2, 7700))


def test_queue_marks_what_is_to_wait() -> None:
    network = star()
    n1, n2, n3 = network.hosts
    net = fabric(network, Shed("queue"), "n2")
    (marked,) = net.send(n1, **datagram(n1, n2))
    assert marked.fields["ip_dscp"] == DEFERRED_DSCP
    for target, port in ((n2, 7700), (n3, 1234)):
        (arrival,) = net.send(n1, **datagram(n1, target, port))
        assert "ip_dscp" not in arrival.fields


def test_meter_sends_other_traffic_through_the_nodes_own_meter() -> None:
    network = star()
    n1, n2, n3 = network.hosts
    states = desired_state(network, [HEARTBEAT], Shed("meter", 500, 50), ["n2"])
    net = Fabric(network, states)
    net.send(n1, **datagram(n1, n2))
    net.send(n1, **datagram(n1, n2, 7700))
    net.send(n1, **datagram(n1, n3))
    metered = [flow for _, flow in net.counts if flow.meter]
    assert [(flow.meter, flow.cookie.port) for flow in metered] == [(2, 2)]
    assert states[1].meters[2].rate == 500


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_change_of_pressure_is_the_difference_of_two_states(
    network: Network, mode: ShedMode
) -> None:
    shed = Shed(mode)
    calm = desired_state(network, [HEARTBEAT], shed)
    pressed = desired_state(network, [HEARTBEAT], shed, ["n2"])
    for on, have, want in ((True, calm, pressed), (False, pressed, calm)):
        changed = pressure_change(network, shed, "n2", under_pressure=on)
        for dpid in have:
            changes = difference(have[dpid], want[dpid])
            assert set(changes.put) == set(changed.get(dpid, ()))
            assert not (changes.gone or changes.new_groups or changes.new_meters)


def test_off_changes_nothing() -> None:
    network = star()
    assert not pressure_change(network, Shed(), "n2", under_pressure=True)
    state = desired_state(network, [HEARTBEAT], Shed())
    assert state == desired_state(network, [HEARTBEAT], Shed(), ["n2"])


def test_a_difference_has_what_is_new_changed_and_gone() -> None:
    (one,) = desired_state(star(2), [], Shed("meter")).values()
    (two,) = desired_state(star(3), [HEARTBEAT], Shed("meter", 7)).values()
    changes = difference(one, two)
    assert changes
    assert set(changes.new_meters) == {3}
    assert set(changes.changed_meters) == {1, 2}
    assert set(changes.changed_groups) == {1}
    back = difference(two, one)
    assert back.gone_meters == (3,)
    assert set(back.gone) == {flow.key for flow in changes.put if flow.key not in one.flows}
    assert not difference(two, SwitchState(two.flows, two.meters, two.groups))
