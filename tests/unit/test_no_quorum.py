"""What a node without quorum does: ``fencing.no_quorum``, from the scenario to its daemons."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.backends.common import configs as common
from crunchbed.backends.namespaces import configs
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from nodes.corosync.watch import ClusterWatch, FenceWanted, Suspected, ViewSeen
from nodes.service.manager import Confirm, ServiceManager, Start, Stop
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.errors import BadInput
from tests.unit.test_heartbeat_turn import INTERVAL, NAMES, Network, settings
from topologies.node import ClusterNode, NodeLink

NODES = {
    name: ClusterNode(name, name, number, (NodeLink("eth0", name, f"10.77.0.{number}"),))
    for number, name in enumerate(("n1", "n2", "n3", "n4", "n5", "storage"), 1)
}
PAIR = {"cluster.nodes": 5, "block_io.pair": ["n4", "n5"]}
COROSYNC = {**PAIR, "membership": "corosync"}


def scenario(keys: dict[str, object], policy: str | None = None) -> Scenario:
    chosen = {} if policy is None else {"fencing.no_quorum": policy}
    return load("control").with_overrides({**keys, **chosen})


@pytest.mark.parametrize(
    ("keys", "policy", "means"),
    [
        (PAIR, None, "freeze"),
        (COROSYNC, None, "stop"),
        (PAIR, "stop", "stop"),
        (PAIR, "freeze", "freeze"),
        (COROSYNC, "freeze", "freeze"),
        (COROSYNC, "ignore", "ignore"),
        ({"membership": "corosync"}, "ignore", "ignore"),
    ],
)
def test_what_it_means_is_told_to_the_daemons(
    keys: dict[str, object], policy: str | None, means: str, tmp_path: Path
) -> None:
    made = scenario(keys, policy)
    assert made.no_quorum == means
    assert Scenario.of(made.resolved(), "") == made
    assert made.resolved()["fencing"].get("no_quorum") == policy
    assert common.heartbeat(made, NODES, "n1", 0)["tells_quorum"] is (means == "stop")
    assert common.corosync(made, "k3xq", NODES, "n1")["ignore_quorum"] is (means == "ignore")
    if made.block_io.pair:
        told = configs.service(made, tmp_path, NODES, "n4", 0)
        assert told["stops_without_quorum"] is (means == "stop")


@pytest.mark.parametrize(
    ("keys", "policy", "complaint"),
    [
        (COROSYNC, "demote", r"one of stop, freeze, ignore \(the service has no promoted state\)"),
        (COROSYNC, "suicide", r"one of stop, freeze, ignore \(no node here fences itself\)"),
        (COROSYNC, "stpo", r"one of stop, freeze, ignore \(did you mean stop\?\)"),
        (PAIR, "ignore", r"stop or freeze: without a majority our own membership decides nothing"),
        ({}, "stop", r"a block_io\.pair, whose service stops or goes on without quorum"),
        ({"membership": "corosync"}, "freeze", r"a block_io\.pair, .*, got freeze"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    keys: dict[str, object], policy: str, complaint: str
) -> None:
    with pytest.raises(BadInput, match=rf"fencing\.no_quorum: expected {complaint}") as refused:
        scenario(keys, policy)
    assert "\n" not in str(refused.value)


def manager(me: str, *, stops: bool) -> ServiceManager:
    pair = ("n4", "n5")
    made = ServiceManager(
        me, pair, joining=False, confirm=True, retry_ns=100, stops_without_quorum=stops
    )
    made.view(1, NODES.keys(), (), True, 0)
    return made


def test_a_server_without_quorum_stops_or_goes_on() -> None:
    stops, goes_on = manager("n4", stops=True), manager("n4", stops=False)
    assert stops.view(2, ["n4"], (), False, 0) == [Stop("no quorum")]
    assert goes_on.view(2, ["n4"], (), False, 0) == goes_on.tick(9999) == []
    assert (stops.serving, goes_on.serving) == (False, True)
    assert stops.view(3, NODES.keys(), (), True, 0) == [Start()]
    assert goes_on.view(3, NODES.keys(), (), True, 0) == []
    assert goes_on.view(4, ["n5"], ("n4",), True, 0) == [Stop("ejected")], "that is no quorum lost"


def test_without_quorum_nothing_is_taken_over_by_one_that_goes_on() -> None:
    other = manager("n5", stops=False)
    assert other.view(2, ["n5"], ("n4",), False, 0) == other.tick(9999) == []
    assert other.fenced("n4", 1, ok=True) == []
    assert other.view(3, ["n5", "n1", "n2"], ("n4",), True, 0) == [Confirm("n4", 1)]


def ignoring(me: str) -> ClusterWatch:
    ids = {"n1": 1, "n2": 2, "n3": 3}
    return ClusterWatch(me, ids, fence_timeout_ns=2_000, ignore_quorum=True)


def test_who_ignores_the_quorum_fences_the_majority_and_decides_after_that() -> None:
    alone = ignoring("n3")
    alone.quorum(9, [1, 2, 3], True, 0)
    assert alone.ring(13, [1, 2]) == [Suspected("n1"), Suspected("n2")]
    assert alone.quorum(13, [3], False, 10) == [
        ViewSeen(13, ("n3",), (), (), quorate=False),
        FenceWanted("n1", 13),
        FenceWanted("n2", 13),
    ]
    alone.fence_answer("n1", 13, True)
    assert alone.tick(20) == []
    alone.fence_answer("n2", 13, True)
    assert alone.tick(30) == [ViewSeen(13, ("n3",), ("n1", "n2"), (), quorate=True)]


def test_a_majority_decides_after_the_fence_too_where_the_minority_may() -> None:
    two = ignoring("n1")
    two.quorum(9, [1, 2, 3], True, 0)
    two.ring(13, [3])
    left = ViewSeen(13, ("n1", "n2"), (), (), quorate=False)
    assert two.quorum(13, [1, 2], True, 10) == [left, FenceWanted("n3", 13)]


def test_the_quorum_is_not_ignored_before_there_was_one() -> None:
    """Else every node would be a cluster of its own when all of them boot."""
    boots = ignoring("n2")
    assert boots.quorum(5, [2], False, 0) == [ViewSeen(5, ("n2",), (), (), quorate=False)]
    assert boots.quorum(9, [1, 2], True, 0) == [ViewSeen(9, ("n1", "n2"), (), ("n1", "n2"), True)]


@pytest.mark.parametrize("tells", [True, False])
def test_a_node_that_loses_its_majority_tells_its_view_again(tells: bool) -> None:
    network = Network()
    network.nodes["n1"] = type(network.nodes["n1"])(settings("n1", tells_quorum=tells), 0)
    network.run(10 * INTERVAL)
    network.silent |= {"n2", "n3"}
    network.run(20 * INTERVAL)
    lost = network.of("n1", ViewInstalled)[1:]
    assert [(one.number, one.members, one.quorate) for one in lost] == (
        [(1, NAMES, False)] if tells else []
    )
    network.silent.clear()
    network.run(30 * INTERVAL)
    again = network.of("n1", ViewInstalled)[1 + len(lost) :]
    assert [(one.number, one.removed, one.added, one.quorate) for one in again] == (
        [(1, (), (), True)] if tells else []
    )
    assert network.fences == []
