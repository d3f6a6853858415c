"""``delay``: a slow link. Every packet to a host, or from it, is held back on its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from crunchbed.faults.action import ImpairingAction
from crunchbed.faults.base import STORAGE, Direction, Host, Lasting
from crunchbed.run.world import Impairment
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


class _DelayAction(ImpairingAction[Delay], of=Delay):
    """Holds every packet of the direction back."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        fault = self._fault
        ways = {"in": (False,), "out": (True,), "both": (False, True)}[fault.direction]
        self.impair(
            [("delay", f"{'of' if leaving else 'to'} {fault.target}") for leaving in ways],
            [Impairment(fault.target, delay_ns=fault.delay, leaving=leaving) for leaving in ways],
        )
        direction = None if fault.direction == "in" else fault.direction
        return replace(event, delay_ns=fault.delay, direction=direction)
