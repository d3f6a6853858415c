"""``delay``: a slow link. Every packet to a host is held back on its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from crunchbed.faults.base import STORAGE, FaultContext, Host, Lasting
from crunchbed.run.world import Impairment, Undo
from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import DurationText
from reserve_agent.contract.events.faults import FaultBegan


class Delay(Lasting):
    """``delay``: time by which every packet is held back."""

    beside_nodes: ClassVar[tuple[str, ...]] = (STORAGE,)

    kind: Literal["delay"]
    target: Host = "n1"
    delay: Annotated[int, kinds.duration("1us", "10s"), DurationText] = 100_000_000

    def action(self, context: FaultContext) -> DelayAction:
        """Return the fault, ready to begin."""
        return DelayAction(self, context)


class DelayAction:
    """Holds packets back."""

    def __init__(self, fault: Delay, context: FaultContext) -> None:
        self._network = context.world.network
        self._impairment = Impairment(fault.target, delay_ns=fault.delay)
        self._undo: Undo | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Hold every packet to the host back."""
        self._undo = self._network.impair([self._impairment])
        return replace(event, delay_ns=self._impairment.delay_ns)

    def undo(self) -> None:
        """Hold nothing back any more."""
        if self._undo is not None:
            self._undo()
