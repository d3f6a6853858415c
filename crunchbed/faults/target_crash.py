"""``target-crash``: the block target of the storage host is killed, and started again later."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from crunchbed.faults.action import FaultAction
from crunchbed.faults.base import STORAGE, Effect, Lasting
from crunchbed.scenario import kinds
from reserve_agent.contract.events.faults import FaultBegan


class TargetCrash(Lasting):
    """After ``for`` the target is started again on the same data."""

    beside_nodes: ClassVar[tuple[str, ...]] = (STORAGE,)

    kind: Literal["target-crash"]
    target: Annotated[str, kinds.choice((STORAGE,))] = STORAGE

    @staticmethod
    def effect(_event: FaultBegan, /) -> Effect:
        """Nobody's writes are acknowledged."""
        return Effect(target_failed=True)


class _TargetCrashAction(FaultAction[TargetCrash], of=TargetCrash):
    """Kills the block target."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        self._hold_target("down", 1)
        return event
