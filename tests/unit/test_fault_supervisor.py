"""Nodes that go down without a fence, and what the run says of an ejection at the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reserve_agent.contract.events.membership import NodeEjected
from tests.unit.test_supervisor import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def ejections(cluster: Cluster) -> list[NodeEjected]:
    """Return the ``node.ejected`` events of n1 so far."""
    return [event for event in cluster.nodes["n1"].noted if isinstance(event, NodeEjected)]


def test_a_crashed_node_stays_down_until_its_fence_boots_it(cluster: Cluster) -> None:
    assert cluster.supervisor.crash("n1", "crash")
    assert not cluster.supervisor.crash("n1", "crash"), "it is down already"
    cluster.supervisor.wait(0.1)
    assert not cluster.nodes["n1"].up
    cluster.supervisor.fence("n1", by="n2")
    cluster.supervisor.boot_if_down("n1")
    assert not cluster.nodes["n1"].up, "its reboot is due anyway"
    cluster.supervisor.wait(0.1)
    assert cluster.nodes["n1"].up
    assert cluster.recorded() == ["node.down", "fence.start", "fence.confirmed", "node.up"]
    (told,) = ejections(cluster)
    assert told.false is False
    assert told.delay_ns is not None
    assert 100_000_000 <= told.delay_ns < 2_000_000_000


def test_a_crashed_node_that_nobody_fenced_is_powered_on(cluster: Cluster) -> None:
    cluster.supervisor.crash("n1", "crash")
    cluster.supervisor.boot_if_down("n1")
    cluster.supervisor.boot_if_down("n1")
    assert cluster.nodes["n1"].up
    assert cluster.recorded() == ["node.down", "node.up"]


def test_the_ejection_of_a_node_that_is_cut_off_is_no_false_one(cluster: Cluster) -> None:
    cluster.supervisor.cut_off_since = lambda target, by: (
        1 if (target, by) == ("n1", "n2") else None
    )
    cluster.supervisor.fence("n1", by="n3")
    cluster.supervisor.wait(0.1)
    cluster.supervisor.fence("n1", by="n2")
    one, other = ejections(cluster)
    assert (one.false, other.false) == (True, False)
    assert "delay_ns" not in one.record()
    assert other.delay_ns is not None
    assert other.delay_ns > 0
