"""``controller-crash``: the OpenFlow controller is killed; the switches are to go on without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from crunchbed.faults.base import CONTROLLER, FaultContext, Lasting, NotPossible
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from reserve_agent.contract.events.faults import FaultBegan

_READY_NS: Final = 15_000_000_000
"""Time in which a new controller has taken over; not waited for any longer."""

_CONTROLLER: Final = (CONTROLLER, CONTROLLER)


class ControllerCrash(Lasting):
    """After ``for`` another controller takes over."""

    beside_nodes: ClassVar[tuple[str, ...]] = (CONTROLLER,)

    kind: Literal["controller-crash"]
    target: Annotated[str, kinds.choice((CONTROLLER,))] = CONTROLLER

    def action(self, context: FaultContext) -> ControllerCrashAction:
        """Return the fault, ready to begin."""
        return ControllerCrashAction(context)

    def own_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield a cluster that has no controller."""
        if facts.controller == "none":
            yield "kind", "another kind where cluster.controller is none", self.kind


class ControllerCrashAction:
    """Kills the controller."""

    def __init__(self, context: FaultContext) -> None:
        self._controller = context.world.controller
        self._down = context.holds.down
        self._loop = context.loop
        self._ready_by: int | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Kill the controller."""
        if self._controller is None or not self._controller.kill():
            raise NotPossible("the controller was down")
        self._down.hold(self, {_CONTROLLER: True})
        return event

    def undo(self) -> None:
        """Start another controller."""
        last = bool(self._down.of(self)) and not self._down.shared(self, _CONTROLLER)
        self._down.release(self)
        if last:
            self._ready_by = self._loop.now_ns() + _READY_NS

    def settling(self) -> bool:
        """Return whether the new controller has yet to take over."""
        if self._ready_by is None or self._controller is None:
            return False
        if self._loop.now_ns() < self._ready_by and not self._controller.is_ready():
            return True
        self._ready_by = None
        return False
