"""``partition``: some nodes and the rest of the cluster hear nothing of each other.

Both sides still reach the storage host, which is what makes fencing necessary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator

from crunchbed.faults.action import ImpairingAction
from crunchbed.faults.base import RANDOM, Effect, Lasting, targets_of
from crunchbed.faults.holds import lost_packets
from crunchbed.run.world import Impairment
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from reserve_agent.contract.events.faults import FaultBegan


def _names(value: object) -> tuple[str, ...]:
    expected = "a cluster node such as n1, random, or a list of distinct nodes"
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        kinds.reject(expected)
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        kinds.reject(expected)
    if RANDOM in names and len(names) > 1:
        kinds.reject(expected)
    return tuple(names)


class Partition(Lasting):
    """``target``: the nodes on one side."""

    kind: Literal["partition"]
    target: Annotated[tuple[str, ...], BeforeValidator(_names)] = ("n1",)

    def aimed_at(self, node: str) -> Self:
        """Return the same partition with one node on its own."""
        return self.model_copy(update={"target": (node,)})

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """The targets and the other nodes are parted."""
        targets = targets_of(event)
        return Effect(parted=targets, silenced=targets)

    def _host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        yield from super()._host_contradictions(facts)
        nodes = len(facts.node_names)
        if len(self.targets) >= nodes:
            yield "target", f"fewer than all {nodes} nodes", f"{len(self.targets)}"


class _PartitionAction(ImpairingAction[Partition], of=Partition):
    """Loses all packets between the two sides."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        world, side = self._context.world, self._fault.targets
        losses = [
            Impairment(target=target, source=source, loss=1.0)
            for one in side
            for other in world.nodes
            if other not in side
            for target, source in ((one, other), (other, one))
        ]
        self.impair(lost_packets(losses, world.network.hosts), losses)
        return event
