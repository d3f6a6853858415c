"""``fence-failure``: the device that cuts a node off fails a few times, or takes long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from crunchbed.faults.action import FaultAction
from crunchbed.faults.base import Lasting
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

    def _own_contradictions(self, _facts: ClusterFacts, /) -> Iterator[Contradiction]:
        if not self.fails and not self.takes:
            yield "fails", "1 or more, or a time that it takes", "0"


class _FenceFailureAction(FaultAction[FenceFailure], of=FenceFailure):
    """Has the requests that come from now on fail or be slow."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        fault = self._fault
        wanted: dict[tuple[str, str], int] = {}
        if fault.fails:
            done = self._context.fences.requests(fault.target)
            wanted["fails", fault.target] = done + fault.fails
        if fault.takes:
            wanted["takes", fault.target] = fault.takes
        self._context.holds.fences.hold(self, wanted)
        return replace(event, fails=fault.fails, takes_ns=fault.takes)
