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
from reserve_agent.contract.topologies import NETWORKS, TOPOLOGIES

if TYPE_CHECKING:
    from crunchbed.scenario.cross import Contradiction
    from crunchbed.scenario.faults import LinkDown
    from crunchbed.scenario.schema import Scenario

SWITCHES: Final = ("auto", "ovs-kernel", "ovs-user", "linux-bridge")
RINGS: Final = (("cluster",), ("a", "b"))
"""Which of a topology's networks carry heartbeats; a host without a link to one is cut off."""
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


def link_exists(scenario: Scenario, at: str, fault: LinkDown) -> Iterator[Contradiction]:
    """Find whether the target of a fault has the link that is to fail."""
    known = NETWORKS[scenario.cluster.topology]
    if fault.target == "storage" and scenario.cluster.topology == "split":
        known = ("storage",)
    if fault.network not in (None, *known):
        yield f"{at}.network", f"one of {', '.join(known)}", str(fault.network)


def switch_exists(scenario: Scenario, at: str, target: str) -> Iterator[Contradiction]:
    """Find whether the network has the switch that is to fail."""
    cluster = scenario.cluster
    switches = {"star": 1, "leaf-spine": 2 + cluster.leaves}.get(cluster.topology, 2)
    known = [f"s{number}" for number in range(1, switches + 1)]
    if target not in known:
        yield at, f"one of {', '.join(known)}", target
