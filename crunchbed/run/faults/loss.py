"""A bad cable: a node loses a share of the packets that come to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.lossy_links import Loss
from crunchbed.run.faults.protocol import World
from crunchbed.scenario import faults


class LossFault:
    """See the module; which packets are lost is drawn by the hook, not from the seed."""

    def __init__(self, fault: faults.Loss, world: World) -> None:
        self._wire = world.wire
        self._fault = fault
        sources = (None,) if fault.sender is None else world.addresses[fault.sender]
        self._losses = [Loss(fault.target, source, fault.share) for source in sources]

    def begin(self) -> Mapping[str, Any]:
        """Tell the hook of the node."""
        self._wire.begin(self, self._losses)
        return {"share": self._fault.share, "from": self._fault.sender}

    def undo(self) -> None:
        """Nothing is lost any more."""
        self._wire.undo(self)
