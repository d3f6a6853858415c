"""``controller-crash``: the OpenFlow controller is killed; the switches are to go on without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from crunchbed.faults.action import FaultAction, NotPossible
from crunchbed.faults.base import CONTROLLER, Lasting
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

    def _own_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        if facts.controller == "none":
            yield "kind", "another kind where cluster.controller is none", self.kind


class _ControllerCrashAction(FaultAction[ControllerCrash], of=ControllerCrash):
    """Kills the controller; at the end another one has to take over."""

    _ready_by: int | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        controller = self._context.world.controller
        if controller is None or not controller.kill():
            raise NotPossible("the controller was down")
        self._context.holds.down.hold(self, {_CONTROLLER: True})
        return event

    def undo(self) -> None:
        down = self._context.holds.down
        last = bool(down.of(self)) and not down.shared(self, _CONTROLLER)
        super().undo()
        if last:
            self._ready_by = self._context.loop.now_ns() + _READY_NS

    def settling(self) -> bool:
        controller = self._context.world.controller
        if self._ready_by is None or controller is None:
            return False
        if self._context.loop.now_ns() < self._ready_by and not controller.is_ready():
            return True
        self._ready_by = None
        return False
