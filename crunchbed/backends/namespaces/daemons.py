"""The daemons of a node: which there are, how they are started, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.backends.common.configs import corosync, heartbeat, portal
from crunchbed.backends.common.live_run import LiveRun
from crunchbed.backends.namespaces import configs
from topologies.node import ClusterNode


def config(
    run: LiveRun, nodes: Mapping[str, ClusterNode], node: str, incarnation: int, name: str
) -> dict[str, Any]:
    """Return what the daemon ``name`` of ``node`` is told when it starts."""
    scenario = run.scenario
    common: dict[str, Any] = {"events": str(run.of(node, "agent"))}
    if name == "heartbeat":
        return common | _membership(run, nodes, node, incarnation)
    if name == "service":
        common["fence"] = str(run.state / "fence")
        common["listen"] = str(run.of(node, "service"))
        common["log"] = str(run.log(f"{node} target"))
        return common | configs.service(scenario, run.state, nodes, node, incarnation)
    if name == "initiator":
        common["pins"] = str(run.pins / node)
        common["control"] = str(run.of(node, "initiator"))
        address = portal(scenario, nodes)
        return common | configs.initiator(scenario, address, node, incarnation)
    return common | configs.traffic_sink(scenario, nodes[node])


def _membership(
    run: LiveRun, nodes: Mapping[str, ClusterNode], node: str, incarnation: int
) -> dict[str, Any]:
    if run.scenario.membership == "corosync":
        told = corosync(run.scenario, run.run_id, nodes, node)
        told["keep"] = [str(run.state)]
    else:
        told = heartbeat(run.scenario, nodes, node, incarnation)
    serves = node in run.scenario.block_io.pair
    listeners = [str(run.of(node, "service"))] if serves else []
    return told | {"fence": str(run.state / "fence"), "listeners": listeners}
