"""The supervisor of a cluster in which two nodes serve the block device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_supervisor import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def serve(cluster: Cluster, *servers: str) -> None:
    """n2 and n3 are the pair, and these of them serve."""
    for name in ("n2", "n3"):
        node = cluster.nodes[name]
        node.serves = True
        node.be(ready=("heartbeat", "service", "traffic"), serving=name in servers)


def test_a_pair_is_healthy_while_one_of_it_serves(cluster: Cluster) -> None:
    serve(cluster, "n3")
    assert cluster.supervisor.unhealthy() is None
    serve(cluster)
    assert cluster.supervisor.unhealthy() == "the block device is served by nobody"
    serve(cluster, "n2", "n3")
    assert cluster.supervisor.unhealthy() == "the block device is served by n2 and n3"
    cluster.nodes["n2"].be(ready=("heartbeat", "traffic"))
    assert cluster.supervisor.unhealthy() == "n2: service not ready"


def test_a_node_that_lost_its_service_daemon_goes_down_and_waits_for_its_fence(
    cluster: Cluster,
) -> None:
    serve(cluster, "n2")
    cluster.nodes["n2"].watchdog = True
    cluster.supervisor.wait(0.1)
    assert not cluster.nodes["n2"].up
    assert cluster.recorded() == ["node.down"]
    cluster.nodes["n2"].watchdog = False
    assert cluster.supervisor.fence("n2", by="n1")
    cluster.supervisor.wait(0.1)
    assert cluster.recorded() == ["node.down", "fence.start", "fence.confirmed", "node.up"]


def test_a_fence_that_is_only_assumed_leaves_its_target_alive_until_it_boots(
    tmp_path: Path,
) -> None:
    cluster = Cluster(tmp_path, confirm=False)
    assert cluster.supervisor.fence("n1", by="n2")
    assert cluster.nodes["n1"].up
    cluster.supervisor.wait(0.1)
    assert cluster.nodes["n1"].up
    assert cluster.nodes["n1"].incarnation == 1
    assert cluster.recorded() == ["fence.start", "fence.confirmed", "node.down", "node.up"]
    cluster.close()
