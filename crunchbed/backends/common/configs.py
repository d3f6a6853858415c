"""From a scenario to what daemons of every backend are told. Pure, but for the paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from crunchbed.run.world import Flood
from crunchbed.scenario import detector
from crunchbed.scenario.corosync import MILLISECOND_NS
from crunchbed.scenario.schema import Scenario
from nodes.block.target import TargetSettings
from nodes.membership.detectors.settings import to_record
from nodes.membership.settings import DEFAULT_GRACE_NS
from topologies.node import ClusterNode

DISK: Final = "disk"
"""In the run's state directory: the file behind every target of the run."""
FENCE_TIMEOUT_NS: Final = 2_000_000_000
"""In which whoever asks for a fence expects the answer."""
_START_NS: Final = 1_000_000_000


def rings(node: ClusterNode) -> tuple[str, ...]:
    """Return the node's address on every ring of heartbeats.

    The ring is the network called "cluster"; without one, every link is a ring of its own, which
    fails apart from the others.
    """
    named = [link.ip for link in node.links if link.network == "cluster"]
    return (named[0],) if named else tuple(link.ip for link in node.links)


def heartbeat(
    scenario: Scenario, nodes: Mapping[str, ClusterNode], name: str, incarnation: int
) -> dict[str, Any]:
    """Return the configuration of one node's heartbeat daemon."""
    members = {peer: nodes[peer] for peer in scenario.node_names}
    indexes = {peer: index for index, peer in enumerate(scenario.node_names)}
    interval = scenario.heartbeat.interval
    return {
        "node": name,
        "index": indexes[name],
        "addresses": rings(nodes[name]),
        "port": scenario.heartbeat.port,
        "peers": {
            peer: {"index": indexes[peer], "addresses": rings(node)}
            for peer, node in members.items()
            if peer != name
        },
        "interval_ns": interval,
        "misses": scenario.heartbeat.misses,
        "detector": to_record(detector.settings(scenario.detector, scenario.heartbeat.interval)),
        "incarnation": incarnation,
        "joining": incarnation > 0,
        "memalloc": "heartbeat" in scenario.memalloc,
        # Spread over the interval, so that nodes do not all send at once.
        "phase_ns": interval * indexes[name] // len(indexes),
        "fence_timeout_ns": FENCE_TIMEOUT_NS,
        "tells_quorum": scenario.no_quorum == "stop",
        # Nodes are started one after the other: the first has to wait for the last.
        "grace_ns": max(DEFAULT_GRACE_NS, _START_NS * len(indexes)),
    }


def corosync(
    scenario: Scenario, run_id: str, nodes: Mapping[str, ClusterNode], name: str
) -> dict[str, Any]:
    """Return what one node's corosync is told, which replaces the heartbeat daemon."""
    settings, consensus = scenario.corosync, scenario.corosync.consensus
    return {
        "node": name,
        "cluster": run_id,
        "addresses": {peer: rings(nodes[peer]) for peer in scenario.node_names},
        "port": scenario.heartbeat.port,
        "totem": {
            "token": scenario.corosync.token_ns(scenario.heartbeat.silence_ns) // MILLISECOND_NS,
            "token_coefficient": settings.token_coefficient // MILLISECOND_NS,
            "token_retransmits_before_loss_const": settings.token_retransmits_before_loss_const,
            "join": settings.join // MILLISECOND_NS,
            "consensus": None if consensus is None else consensus // MILLISECOND_NS,
        },
        "fence_timeout_ns": FENCE_TIMEOUT_NS,
        "two_node": settings.two_node,
        "ignore_quorum": scenario.no_quorum == "ignore",
    }


def portal(scenario: Scenario, nodes: Mapping[str, ClusterNode]) -> str:
    """Return the address that initiators connect to: the storage host's, or the one that moves.

    The address that moves is the first one of the storage host's subnet that no node has.
    """
    storage = nodes["storage"].address("storage")
    if not scenario.block_io.pair:
        return storage
    return f"{storage.rpartition('.')[0]}.{len(scenario.node_names) + 1}"


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
