"""``node-crash``: a node loses power, and nobody is told; the other nodes have to find out."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from crunchbed.faults.action import FaultAction, NotPossible
from crunchbed.faults.base import Effect, FaultSection, targets_of
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

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """The node is silent."""
        return Effect(silenced=targets_of(event))


class _NodeCrashAction(FaultAction[NodeCrash], of=NodeCrash):
    """Takes a node's power away; lasts until it has power again, which its fence sees to."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        node = self._fault.target
        if not self._context.power.crash(node, _REASON):
            raise NotPossible(f"{node} was down")
        self._context.holds.down.hold(self, {("power", node): True})
        return event

    def lingers(self) -> bool:
        return not self._context.world.nodes[self._fault.target].up
