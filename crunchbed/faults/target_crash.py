"""``target-crash``: the block target of the storage host is killed, and started again later."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from crunchbed.faults.base import STORAGE, Effect, FaultContext, Lasting, NotPossible
from crunchbed.scenario import kinds
from reserve_agent.contract.events.faults import FaultBegan


class TargetCrash(Lasting):
    """After ``for`` the target is started again on the same data."""

    beside_nodes: ClassVar[tuple[str, ...]] = (STORAGE,)

    kind: Literal["target-crash"]
    target: Annotated[str, kinds.choice((STORAGE,))] = STORAGE

    def action(self, context: FaultContext) -> TargetCrashAction:
        """Return the fault, ready to begin."""
        return TargetCrashAction(context)

    @staticmethod
    def effect(_event: FaultBegan, /) -> Effect:
        """Nobody's writes are acknowledged."""
        return Effect(target_failed=True)


class TargetCrashAction:
    """Kills the block target."""

    def __init__(self, context: FaultContext) -> None:
        self._disk = context.world.disk
        self._target = context.holds.target

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Kill the target."""
        if self._disk is None:
            raise NotPossible("the storage host has no block target")
        self._target.hold(self, {("down",): 1})
        return event

    def undo(self) -> None:
        """Start the target again, unless another fault keeps it down."""
        self._target.release(self)
