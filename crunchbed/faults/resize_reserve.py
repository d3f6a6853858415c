"""``resize-reserve``: a node's reserve has another size, as after a write to min_free_kbytes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Literal

from crunchbed.faults.action import FaultAction, NotPossible
from crunchbed.faults.base import Lasting
from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.errors import CrunchbedError


class ResizeReserve(Lasting):
    """``pages``: size of the reserve in pages of 4 KiB; a size that does not fit is refused."""

    kind: Literal["resize-reserve"]
    target: Target = "n1"
    pages: kinds.Pages = 64


class _ResizeReserveAction(FaultAction[ResizeReserve], of=ResizeReserve):
    """Resizes a node's reserve; pages in use stay in use."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        name, pages, holds = self._fault.target, self._fault.pages, self._context.holds
        self._with_power(name)
        held = holds.reserves.value((name,))
        try:
            holds.reserves.hold(self, {(name,): pages})
        except CrunchbedError as error:
            raise NotPossible(str(error)) from error
        was = holds.sizes.before[name] if held is None else held
        if held is None and was == pages:
            holds.reserves.release(self)
            raise NotPossible(f"the reserve of {name} had {was} pages already")
        return replace(event, pages=holds.reserves.value((name,)), was=was)

    def undo(self) -> None:
        # A node that reboots meanwhile takes the size that its scenario says.
        with suppress(CrunchbedError):
            super().undo()
