"""``node-crash``: a node loses power, and nobody is told; the other nodes have to find out."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from crunchbed.faults.base import Effect, FaultContext, FaultSection, NotPossible, targets_of
from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan

_REASON: Final = "crash"


class NodeCrash(FaultSection):
    """``length`` (key ``for``): time until power on; None: until the fence boots the node."""

    kind: Literal["node-crash"]
    target: Target = "n1"
    length: Annotated[int, kinds.duration("1ms"), kinds.DurationText] | None = Field(
        default=None, alias="for"
    )

    @property
    def lasts_ns(self) -> int | None:
        """Time from the begin to the undo; None: until the injection is over."""
        return self.length

    def action(self, context: FaultContext) -> NodeCrashAction:
        """Return the fault, ready to begin."""
        return NodeCrashAction(self, context)

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """The node is silent."""
        return Effect(silenced=targets_of(event))


class NodeCrashAction:
    """Takes a node's power away."""

    def __init__(self, fault: NodeCrash, context: FaultContext) -> None:
        self._target = fault.target
        self._power = context.power
        self._down = context.holds.down

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Power off."""
        power = ("power", self._target)
        if not self._power.crash(self._target, _REASON):
            raise NotPossible(f"{self._target} was down")
        self._down.hold(self, {power: True})
        return event

    def lingers(self) -> bool:
        """Return whether the node is still down: its fence will power it on."""
        return self._power.is_down(self._target)

    def undo(self) -> None:
        """Power on, unless the fence has done so or is about to."""
        self._down.release(self)
