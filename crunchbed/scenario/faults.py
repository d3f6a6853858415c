"""The old place of ``crunchbed/faults``, which ``crunchbed/run/faults`` still needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from crunchbed.faults import kinds
from crunchbed.faults.agent_crash import AgentCrash
from crunchbed.faults.arp_expiry import ArpExpiry
from crunchbed.faults.base import CONTROLLER, RANDOM, STORAGE, FaultSection
from crunchbed.faults.burst import Burst
from crunchbed.faults.controller_crash import ControllerCrash
from crunchbed.faults.delay import Delay
from crunchbed.faults.kinds import FAULT_KINDS, MODELS, Fault, Faults
from crunchbed.faults.link_down import LinkDown
from crunchbed.faults.loss import Loss
from crunchbed.faults.node_crash import NodeCrash
from crunchbed.faults.partition import Partition
from crunchbed.faults.resize_reserve import ResizeReserve
from crunchbed.faults.slow_disk import SlowDisk
from crunchbed.faults.stall import STALLED_DAEMONS, Stall
from crunchbed.faults.switch_crash import SwitchCrash
from crunchbed.faults.target_crash import TargetCrash
from crunchbed.scenario.cluster import NETWORKS
from crunchbed.scenario.facts import ClusterFacts, Contradiction

if TYPE_CHECKING:
    from crunchbed.scenario.schema import Scenario

__all__ = [
    "CONTROLLER",
    "FAULT_KINDS",
    "MODELS",
    "RANDOM",
    "STALLED_DAEMONS",
    "STORAGE",
    "AgentCrash",
    "ArpExpiry",
    "Burst",
    "ControllerCrash",
    "Delay",
    "Fault",
    "FaultSection",
    "Faults",
    "LinkDown",
    "Loss",
    "NodeCrash",
    "Partition",
    "ResizeReserve",
    "SlowDisk",
    "Stall",
    "SwitchCrash",
    "TargetCrash",
]


def contradictions(scenario: Scenario) -> Iterator[Contradiction]:
    """Yield what does not go together of the faults and the rest of the scenario."""
    cluster = scenario.cluster
    networks = NETWORKS[cluster.topology]
    switches = {"star": 1, "leaf-spine": 2 + cluster.leaves}.get(cluster.topology, 2)
    facts = ClusterFacts(
        node_names=scenario.node_names,
        pair=scenario.block_io.pair,
        topology=cluster.topology,
        networks=networks,
        storage_networks=("storage",) if cluster.topology == "split" else networks,
        switches=tuple(f"s{number}" for number in range(1, switches + 1)),
        controller=cluster.controller,
        transport=scenario.block_io.transport,
        membership=scenario.membership,
        removal_ns=0,
        inject_ns=scenario.phases.inject,
    )
    return kinds.contradictions(scenario.faults, facts)
