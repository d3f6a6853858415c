"""``fence-failure``: the device that cuts a node off fails a few times, or takes long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from crunchbed.faults.base import FaultContext, Lasting
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText, Target
from reserve_agent.contract.events.faults import FaultBegan


class FenceFailure(Lasting):
    """``fails``: the next so many requests to cut the target off fail.

    ``takes``: time by which each request is carried out later.
    """

    kind: Literal["fence-failure"]
    target: Target = "n1"
    fails: Annotated[int, kinds.whole("requests", 0, 1000)] = 1
    takes: Annotated[int, kinds.duration("0s", "60s"), DurationText] = 0

    def action(self, context: FaultContext) -> FenceFailureAction:
        """Return the fault, ready to begin."""
        return FenceFailureAction(self, context)

    def own_contradictions(self, _facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield a fault that changes nothing."""
        if not self.fails and not self.takes:
            yield "fails", "1 or more, or a time that it takes", "0"


class FenceFailureAction:
    """Has the fence device fail or be slow."""

    def __init__(self, fault: FenceFailure, context: FaultContext) -> None:
        self._fault = fault
        self._device = context.fences
        self._held = context.holds.fences

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Let the requests that come from now on fail or be slow."""
        fault = self._fault
        wanted: dict[tuple[str, str], int] = {}
        if fault.fails:
            until = self._device.requests(fault.target) + fault.fails
            wanted["fails", fault.target] = until
        if fault.takes:
            wanted["takes", fault.target] = fault.takes
        self._held.hold(self, wanted)
        return replace(event, fails=fault.fails, takes_ns=fault.takes)

    def undo(self) -> None:
        """Let the device do as it should, as far as no other fault holds it."""
        self._held.release(self)
