"""``partition``: some nodes and the rest of the cluster hear nothing of each other.

Both sides still reach the storage host, which is what makes fencing necessary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator

from crunchbed.faults.base import RANDOM, Effect, FaultContext, Lasting, targets_of
from crunchbed.faults.holds import packets
from crunchbed.run.world import Impairment, Undo
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

    def action(self, context: FaultContext) -> PartitionAction:
        """Return the fault, ready to begin."""
        return PartitionAction(self, context)

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """The targets and the other nodes are parted."""
        targets = targets_of(event)
        return Effect(parted=targets, silenced=targets)

    def host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield unknown nodes, and a partition with nobody on the other side."""
        yield from super().host_contradictions(facts)
        nodes = len(facts.node_names)
        if len(self.targets) >= nodes:
            yield "target", f"fewer than all {nodes} nodes", f"{len(self.targets)}"


class PartitionAction:
    """Loses all packets between the two sides."""

    def __init__(self, fault: Partition, context: FaultContext) -> None:
        self._network = context.world.network
        self._packets = context.holds.packets
        others = [name for name in context.world.nodes if name not in fault.targets]
        pairs = [(one, other) for one in fault.targets for other in others]
        self._impairments = [
            Impairment(target=target, source=source, loss=1.0)
            for one, other in pairs
            for target, source in ((one, other), (other, one))
        ]
        self._undo: Undo | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Have each side lose what the other side sends."""
        self._packets.hold(self, packets("loss", self._impairments, self._network.hosts))
        self._undo = self._network.impair(self._impairments)
        return event

    def undo(self) -> None:
        """Lose no packets for this fault any more."""
        self._packets.release(self)
        if self._undo is not None:
            self._undo()
