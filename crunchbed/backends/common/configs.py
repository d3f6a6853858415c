"""From a scenario to what daemons of every backend are told. Pure, but for the paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from crunchbed.backends.common import settings
from crunchbed.backends.common.settings import FENCE_TIMEOUT_NS
from crunchbed.run.world import Flood
from crunchbed.scenario import detector
from crunchbed.scenario.corosync import MILLISECOND_NS
from crunchbed.scenario.schema import Scenario
from nodes.block.target import TargetSettings
from nodes.membership.detectors.settings import to_record
from topologies.node import ClusterNode

DISK: Final = "disk"
"""In the run's state directory: the file behind every target of the run."""


def rings(node: ClusterNode) -> tuple[str, ...]:
    """Return the node's address on every ring of heartbeats."""
    return tuple(link.ip for link in settings.rings(node.links))


def heartbeat(
    scenario: Scenario, nodes: Mapping[str, ClusterNode], name: str, incarnation: int
) -> dict[str, Any]:
    """Return the configuration of one node's heartbeat daemon."""
    return settings.heartbeat(scenario, name, incarnation) | {
        "addresses": rings(nodes[name]),
        "port": scenario.heartbeat.port,
        "peers": {
            peer: {"index": index, "addresses": rings(nodes[peer])}
            for index, peer in enumerate(scenario.node_names)
            if peer != name
        },
        "detector": to_record(detector.settings(scenario.detector, scenario.heartbeat.interval)),
        "memalloc": "heartbeat" in scenario.memalloc,
    }


def corosync(
    scenario: Scenario, run_id: str, nodes: Mapping[str, ClusterNode], name: str
) -> dict[str, Any]:
    """Return what one node's corosync is told, which replaces the heartbeat daemon."""
    chosen, consensus = scenario.corosync, scenario.corosync.consensus
    return {
        "node": name,
        "cluster": run_id,
        "addresses": {peer: rings(nodes[peer]) for peer in scenario.node_names},
        "port": scenario.heartbeat.port,
        "totem": {
            "token": scenario.corosync.token_ns(scenario.heartbeat.silence_ns) // MILLISECOND_NS,
            "token_coefficient": chosen.token_coefficient // MILLISECOND_NS,
            "token_retransmits_before_loss_const": chosen.token_retransmits_before_loss_const,
            "join": chosen.join // MILLISECOND_NS,
            "consensus": None if consensus is None else consensus // MILLISECOND_NS,
        },
        "fence_timeout_ns": FENCE_TIMEOUT_NS,
        "two_node": chosen.two_node,
        "ignore_quorum": scenario.no_quorum == "ignore",
    }


def portal(scenario: Scenario, nodes: Mapping[str, ClusterNode]) -> str:
    """Return the address that initiators connect to; see ``settings.portal``."""
    return settings.portal(scenario, nodes["storage"].address("storage"))


def iscsi_session(scenario: Scenario) -> dict[str, Any]:
    """Return the time-outs of a session in nanoseconds, and the secret of the initiators."""
    session = scenario.block_io.iscsi
    chap = session.chap
    own = None if chap is None else (chap.user, chap.initiator_secret or chap.secret)
    return dict(session) | {"chap": own}


def target(
    scenario: Scenario, state: Path, address: str, host: str, write_delay_ns: int = 0
) -> TargetSettings:
    """Return the target that ``host`` serves; ``state``: the run's state directory."""
    block_io = scenario.block_io
    chap = block_io.iscsi.chap
    return TargetSettings(
        transport=block_io.transport,
        address=address,
        port=block_io.port,
        disk=state / DISK,
        control=state / f"{host}.tgt",
        chap=None if chap is None else (chap.user, chap.secret),
        write_delay_ns=write_delay_ns,
    )


def flood_source(flood: Flood, address: str, start_ns: int) -> dict[str, Any]:
    """Return what the sender of a flood on the storage host is told."""
    return {
        "role": "source",
        "addresses": [address],
        "port": flood.port,
        "rate": flood.rate,
        "size": flood.size,
        "start_ns": start_ns,
        "end_ns": start_ns + flood.duration_ns,
    }


def traffic_source(scenario: Scenario, nodes: Mapping[str, ClusterNode]) -> dict[str, Any]:
    """Return what the sender of the background traffic on the storage host is told."""
    return {
        "role": "source",
        "addresses": [nodes[name].address("storage") for name in scenario.node_names],
        "port": scenario.traffic.port,
        "rate": scenario.traffic.rate,
        "size": scenario.traffic.size,
    }
