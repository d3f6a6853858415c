"""The cluster's network falls apart: some nodes and the rest hear nothing of each other.

The storage host stays in reach of both sides, which is what makes fencing necessary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.lossy_links import Loss
from crunchbed.run.faults.protocol import World
from crunchbed.scenario import faults


class PartitionFault:
    """See the module."""

    def __init__(self, fault: faults.Partition, world: World) -> None:
        self._wire = world.wire
        inside = [world.nodes[name] for name in fault.targets]
        outside = [node for name, node in world.nodes.items() if name not in fault.targets]
        pairs = [(a, b) for a in inside for b in outside]
        self._losses = [
            Loss(one.name, source, 1.0)
            for a, b in pairs
            for one, other in ((a, b), (b, a))
            for source in other.host.addresses
        ]

    def begin(self) -> Mapping[str, Any]:
        """Both sides drop what the other sends."""
        self._wire.begin(self, self._losses)
        return {}

    def undo(self) -> None:
        """The network is one again."""
        self._wire.undo(self)
