"""``delay``: a slow link. Every packet to a host, or from it, is held back on its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from crunchbed.faults.base import STORAGE, Direction, FaultContext, Host, Lasting
from crunchbed.run.world import Impairment, Undo
from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import DurationText
from reserve_agent.contract.events.faults import FaultBegan


class Delay(Lasting):
    """``delay``: time by which every packet is held back.

    ``direction``: ``in`` holds back what comes to the target, ``out`` what leaves it.
    """

    beside_nodes: ClassVar[tuple[str, ...]] = (STORAGE,)

    kind: Literal["delay"]
    target: Host = "n1"
    delay: Annotated[int, kinds.duration("1us", "10s"), DurationText] = 100_000_000
    direction: Direction = "in"

    def action(self, context: FaultContext) -> DelayAction:
        """Return the fault, ready to begin."""
        return DelayAction(self, context)


class DelayAction:
    """Holds packets back."""

    def __init__(self, fault: Delay, context: FaultContext) -> None:
        self._network = context.world.network
        self._packets = context.holds.packets
        self._fault = fault
        ways = {"in": (False,), "out": (True,), "both": (False, True)}[fault.direction]
        self._impairments = [
            Impairment(fault.target, delay_ns=fault.delay, leaving=leaving) for leaving in ways
        ]
        self._undo: Undo | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Hold every packet of the direction back."""
        held = [f"{'of' if one.leaving else 'to'} {one.target}" for one in self._impairments]
        self._packets.hold(self, {("delay", one): True for one in held})
        self._undo = self._network.impair(self._impairments)
        direction = None if self._fault.direction == "in" else self._fault.direction
        return replace(event, delay_ns=self._fault.delay, direction=direction)

    def undo(self) -> None:
        """Hold packets back for as long only as other faults say."""
        self._packets.release(self)
        if self._undo is not None:
            self._undo()
