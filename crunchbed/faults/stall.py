"""``stall``: daemons of a node stand still for a while, and go on where they stood."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator

from crunchbed.faults.base import Effect, FaultContext, Lasting, NotPossible, targets_of
from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan

STALLED_DAEMONS: Final = ("heartbeat", "service", "initiator", "traffic")
"""The daemons that can be stalled; the key ``all`` means all of them."""
_DEFAULT: Final = ("heartbeat",)


def _daemons(value: object) -> object:
    return STALLED_DAEMONS if value == "all" else value


class Stall(Lasting):
    """``daemons``: names of the daemons that stand still."""

    kind: Literal["stall"]
    target: Target = "n1"
    daemons: Annotated[
        tuple[str, ...], kinds.subset(STALLED_DAEMONS, least=1), BeforeValidator(_daemons)
    ] = _DEFAULT

    def action(self, context: FaultContext) -> StallAction:
        """Return the fault, ready to begin."""
        return StallAction(self, context)

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """Daemons stand still; the node is silent where the heartbeat daemon is among them."""
        targets = targets_of(event)
        daemons = _DEFAULT if event.daemons is None else event.daemons
        return Effect(stalled=dict.fromkeys(targets, daemons), silenced=targets)


class StallAction:
    """Pauses daemons and resumes them."""

    def __init__(self, fault: Stall, context: FaultContext) -> None:
        self._node = context.world.nodes[fault.target]
        self._daemons = fault.daemons
        self._paused = False

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Pause the daemons, as far as the node has them."""
        if not self._node.up:
            raise NotPossible(f"{self._node.name} was down")
        self._paused = True
        self._node.pause(self._daemons)
        return replace(event, daemons=self._daemons)

    def undo(self) -> None:
        """Resume the daemons that are still there."""
        if self._paused:
            self._paused = False
            self._node.resume(self._daemons)
