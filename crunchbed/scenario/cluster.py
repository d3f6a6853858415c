"""``cluster:`` of a scenario: nodes, switches and the links between them.

Durations are nanoseconds, rates bits per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import DurationText, RateText
from crunchbed.scenario.section import Section
from crunchbed.scenario.shed import CONTROLLERS

if TYPE_CHECKING:
    from crunchbed.scenario.cross import Contradiction
    from crunchbed.scenario.schema import Scenario

SWITCHES: Final = ("auto", "ovs-kernel", "ovs-user", "linux-bridge")
NETWORKS: Final = {
    "star": ("cluster",),
    "split": ("cluster", "storage"),
    "redundant": ("a", "b"),
    "leaf-spine": ("cluster",),
}
"""The networks of each topology, as links and faults name them."""
RINGS: Final = (("cluster",), ("a", "b"))
"""Which of a topology's networks carry heartbeats; a host without a link to one is cut off."""
TOPOLOGIES: Final = tuple(NETWORKS)
LABELS: Final = ("cluster", "storage", "a", "b")


class Cluster(Section):
    """The network: ``nodes`` cluster nodes and one storage host on one or more switches."""

    nodes: Annotated[int, kinds.whole("nodes", 2, 32)] = 3
    topology: Annotated[str, kinds.choice(TOPOLOGIES)] = "star"
    leaves: Annotated[int, kinds.whole("leaves", 1, 8)] = 2
    switch: Annotated[str, kinds.choice(SWITCHES)] = "auto"
    port_rate: Annotated[int, kinds.rate("1Mbit", "100Gbit"), RateText] = 200_000_000
    storage_rate: Annotated[int, kinds.rate("1Mbit", "100Gbit"), RateText] = 200_000_000
    controller: Annotated[str, kinds.choice(CONTROLLERS)] = "none"
    delay: Annotated[int, kinds.duration("0s", "10s"), DurationText] = 0
    loss: Annotated[float, kinds.fraction(0, 0.5)] = 0.0

    @property
    def needs_netem(self) -> bool:
        """Whether its links delay or lose packets."""
        return self.delay > 0 or self.loss > 0


def contradictions(scenario: Scenario) -> Iterator[Contradiction]:
    """Find what no such network can do."""
    cluster = scenario.cluster
    if cluster.topology == "leaf-spine" and cluster.switch == "linux-bridge":
        yield "cluster.switch", "Open vSwitch: leaf-spine has loops", cluster.switch
    if cluster.topology == "redundant" and scenario.block_io.pair:
        shown = f"[{', '.join(scenario.block_io.pair)}]"
        yield "block_io.pair", "[] where cluster.topology is redundant", shown
    impaired = [fault for fault in scenario.faults if fault.kind == "delay"]
    if cluster.needs_netem and impaired:
        yield "faults", "no delay where cluster.delay or cluster.loss is set", "delay"
