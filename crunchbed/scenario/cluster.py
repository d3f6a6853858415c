"""``cluster:`` of a scenario: nodes, switches and the links between them.

Durations are nanoseconds, rates bits per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import SerializerFunctionWrapHandler, model_serializer

from crunchbed.scenario import kinds
from crunchbed.scenario.facts import Contradiction
from crunchbed.scenario.kinds import DurationText, RateText
from crunchbed.scenario.section import Section
from reserve_agent.contract.topologies import NETWORKS, TOPOLOGIES

BACKENDS: Final = ("namespaces", "machines", "simulation")
"""What the nodes can be made of; the first is the default."""
CONTROLLERS: Final = ("none", "openflow")
MOST_NODES: Final = 10_000
"""Of a simulation."""
MOST_EMULATED: Final = 32
"""Of the other backends: one machine has to carry them all."""
SWITCHES: Final = ("auto", "ovs-kernel", "ovs-user", "linux-bridge")
RINGS: Final = (("cluster",), ("a", "b"))
"""Groups of networks that carry heartbeats: a host without a link to any of a group is cut off."""
LABELS: Final = ("cluster", "storage", "a", "b")


class Cluster(Section):
    """``nodes`` cluster nodes and one storage host, on one or more switches.

    ``backend`` is what the nodes are made of.
    """

    backend: Annotated[str, kinds.choice(BACKENDS)] = BACKENDS[0]
    nodes: Annotated[int, kinds.whole("nodes", 2, MOST_NODES)] = 3
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
        """Whether the links delay or lose packets."""
        return self.delay > 0 or self.loss > 0

    @property
    def repeatable(self) -> bool:
        """Whether a seed decides all that happens, and nothing ends by itself."""
        return self.backend == "simulation"

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that a cluster node has a link to."""
        return NETWORKS[self.topology]

    @property
    def storage_networks(self) -> tuple[str, ...]:
        """The networks that the storage host has a link to."""
        return ("storage",) if self.topology == "split" else self.networks

    @property
    def switches(self) -> tuple[str, ...]:
        """The switches ``s1``, ``s2``, ..."""
        count = {"star": 1, "leaf-spine": 2 + self.leaves}.get(self.topology, 2)
        return tuple(f"s{number}" for number in range(1, count + 1))

    @model_serializer(mode="wrap")
    def _without_the_default_backend(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the default out, so that scenarios written before there was a choice stay equal."""
        written: dict[str, Any] = write(self)
        if self.backend == BACKENDS[0]:
            del written["backend"]
        return written


def contradictions(cluster: Cluster) -> Iterator[Contradiction]:
    """Find more nodes than the backend has, and a switch that cannot carry the topology."""
    if cluster.nodes > MOST_EMULATED and cluster.backend != "simulation":
        yield (
            "cluster.nodes",
            f"at most {MOST_EMULATED} with backend {cluster.backend} "
            f"({MOST_NODES:,} with simulation)",
            str(cluster.nodes),
        )
    if cluster.topology == "leaf-spine" and cluster.switch == "linux-bridge":
        yield "cluster.switch", "Open vSwitch: leaf-spine has loops", cluster.switch
