"""From a scenario to its network, and to what its switches need of a controller."""

from __future__ import annotations

from crunchbed.backends.namespaces.controller import LiveController
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.shed import rules
from topologies.cluster import Cluster

_BITS_PER_MEGABIT = 1_000_000


def make_network(scenario: Scenario, run_id: str, controller: LiveController | None) -> Cluster:
    """Describe the network of a run; nothing of it is made yet."""
    cluster, shed = scenario.cluster, rules(scenario.shed)
    return Cluster(
        run_id,
        nodes=cluster.nodes,
        port_rate_mbit=cluster.port_rate / _BITS_PER_MEGABIT,
        storage_rate_mbit=cluster.storage_rate / _BITS_PER_MEGABIT,
        switch=cluster.switch,  # type: ignore[arg-type]
        storage_nodes=scenario.block_io.pair,
        topology=cluster.topology,  # type: ignore[arg-type]
        leaves=cluster.leaves,
        delay_ns=cluster.delay,
        loss=cluster.loss,
        controller=None if controller is None else controller.listen,
        on_switches=None if controller is None else controller.wait_until_ready,
        deferred_kbit=shed.rate_kbit if shed.mode == "queue" else None,
    )
