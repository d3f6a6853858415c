"""What faults do to network namespaces: loss at the hooks, ports, processes that stand still."""

from __future__ import annotations

from typing import Any, cast

import pytest

from crunchbed.backends.common.network import LiveNetwork
from crunchbed.backends.common.ports import SwitchPort
from crunchbed.backends.common.switches import LiveSwitches
from crunchbed.run.world import Impairment
from reserve_agent.contract.events.faults import FaultBegan
from tests.unit.fault_world import FakeWorld
from tests.unit.test_namespaces_network import FakePower, host
from topologies.node import ClusterNode, NodeLink

# --- the wire


def test_losses_of_several_faults_add_up_and_are_undone_one_by_one() -> None:
    told: dict[str, list[list[object]]] = {}
    hosts = {f"n{i}": host(f"n{i}", ("cluster", "s1")) for i in (1, 2)}
    network = LiveNetwork(hosts, told.__setitem__)
    undo_a = network.impair([Impairment("n1", loss=0.5)])
    n1, n2 = Impairment("n1", loss=0.5), Impairment("n2", loss=0.1)
    undo_b = network.impair([n1, Impairment("n1", source="n2", loss=1.0), n2])
    assert told == {"n1": [[None, 0.75], ["10.77.0.2", 1.0]], "n2": [[None, pytest.approx(0.1)]]}
    undo_a()
    assert told["n1"] == [[None, 0.5], ["10.77.0.2", 1.0]]
    undo_b()
    undo_b()
    assert told == {"n1": [], "n2": []}


def test_a_partition_cuts_both_directions_and_spares_each_side() -> None:
    told: dict[str, list[list[object]]] = {}
    hosts = {f"n{i}": host(f"n{i}", ("cluster", "s1")) for i in (1, 2, 3)}
    world = FakeWorld()
    world.network = cast(Any, LiveNetwork(hosts, told.__setitem__))
    fault = world.fault("partition", target=["n1", "n2"])
    fault.begin(FaultBegan(fault="partition"))
    assert told == {
        "n1": [["10.77.0.3", 1.0]],
        "n2": [["10.77.0.3", 1.0]],
        "n3": [["10.77.0.1", 1.0], ["10.77.0.2", 1.0]],
    }
    fault.undo()
    assert told == {"n1": [], "n2": [], "n3": []}


def test_a_port_is_up_with_power_and_without_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[bool] = []
    linked, asked = False, {"n1": set[str](), "n2": set[str]()}
    monkeypatch.setattr(ClusterNode, "has_links", lambda _self, _links: linked)
    monkeypatch.setattr(ClusterNode, "addresses_asked_for", lambda node: asked[node.name])
    other = [ClusterNode("n2", "y", 2, (NodeLink("eth0", "port2", "10.0.0.2"),))]
    monkeypatch.setattr(ClusterNode, "set_port", lambda _self, _link, up: states.append(up))
    port = SwitchPort(ClusterNode("n1", "x", 1, (NodeLink("eth0", "port", "10.0.0.1"),)))
    port.cut()
    port.power(False)
    port.power(True)
    assert states == [False, False, False], "a reboot does not mend a link"
    port.cut()
    assert not port.mend()
    assert states[-1] is False
    assert port.settled(other), "nothing is to come"
    assert port.mend()
    assert states[-1] is True
    assert not port.settled(other)
    linked = True
    assert port.settled(other)
    asked["n2"] = {"10.0.0.9"}
    assert port.settled(other)
    asked["n2"] = {"10.0.0.1"}
    assert not port.settled(other)
    asked |= {"n1": {"10.0.0.2"}, "n2": set()}
    assert not port.settled(other)


# --- a switch


class FakePort:
    """A host's ports, whose cuts are counted by network."""

    def __init__(self, host: ClusterNode) -> None:
        self.host = host
        self.cuts: list[str | None] = []

    def cut(self, network: str | None = None) -> None:
        self.cuts.append(network)

    def mend(self, network: str | None = None) -> bool:
        self.cuts.remove(network)
        return not self.cuts


def switches(*hosts: ClusterNode) -> tuple[LiveSwitches, dict[str, FakePort]]:
    ports = {one.name: FakePort(one) for one in hosts}
    return LiveSwitches(cast(Any, FakePower()), cast(Any, ports)), ports


def test_a_node_with_another_ring_is_not_cut_off() -> None:
    made, ports = switches(host("n1", ("a", "s1"), ("b", "s2")))
    assert made.links_to("s1") == {"n1": ["a"]}
    assert made.cut_off_by("s1") == []
    made.turn_off("s1")
    assert not made.is_on("s1")
    assert ports["n1"].cuts == ["a"]
    made.turn_on("s1")
    assert made.is_on("s1")
    assert ports["n1"].cuts == []


def test_one_without_is_cut_off_and_others_keep_their_links() -> None:
    both = host("n1", ("cluster", "s1"), ("storage", "s2"))
    made, ports = switches(both, host("n2", ("cluster", "s2")))
    assert made.links_to("s1") == {"n1": ["cluster"]}
    assert made.cut_off_by("s1") == ["n1"]
    made.turn_off("s1")
    assert ports["n1"].cuts == ["cluster"]
    assert ports["n2"].cuts == []
