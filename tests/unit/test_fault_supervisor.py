"""Nodes that go down without a fence, and what the run says of an ejection at the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_supervisor import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def ejections(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the list that ``node.ejected`` events of n1 will be in."""
    events: list[dict[str, Any]] = []
    node = cluster.nodes["n1"]
    whole = node.ask

    def ask(op: str, **fields: Any) -> dict[str, Any]:
        if op == "event":
            events.append(fields["event"])
        return whole(op, **fields)

    monkeypatch.setattr(node, "ask", ask)
    return events


def test_a_crashed_node_stays_down_until_its_fence_boots_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ejections(cluster, monkeypatch)
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
    assert told[0]["false"] is False
    assert 100_000_000 <= told[0]["delay_ns"] < 2_000_000_000


def test_a_crashed_node_that_nobody_fenced_is_powered_on(cluster: Cluster) -> None:
    cluster.supervisor.crash("n1", "crash")
    cluster.supervisor.boot_if_down("n1")
    cluster.supervisor.boot_if_down("n1")
    assert cluster.nodes["n1"].up
    assert cluster.recorded() == ["node.down", "node.up"]


def test_the_ejection_of_a_node_that_is_cut_off_is_no_false_one(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ejections(cluster, monkeypatch)
    cluster.supervisor.cut_off_since = lambda target, by: (
        1 if (target, by) == ("n1", "n2") else None
    )
    cluster.supervisor.fence("n1", by="n3")
    cluster.supervisor.wait(0.1)
    cluster.supervisor.fence("n1", by="n2")
    assert [event["false"] for event in told] == [True, False]
    assert "delay_ns" not in told[0]
    assert told[1]["delay_ns"] > 0
