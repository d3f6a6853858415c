"""``resize-reserve``: a node's reserve has another size, as after a write to min_free_kbytes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Literal

from crunchbed.faults.base import FaultContext, Lasting, NotPossible
from crunchbed.scenario import kinds
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.errors import CrunchbedError


class ResizeReserve(Lasting):
    """``pages``: size of the reserve in pages of 4 KiB; a size that does not fit is refused."""

    kind: Literal["resize-reserve"]
    target: Target = "n1"
    pages: kinds.Pages = 64

    def action(self, context: FaultContext) -> ResizeReserveAction:
        """Return the fault, ready to begin."""
        return ResizeReserveAction(self, context)


class ResizeReserveAction:
    """Resizes a node's reserve."""

    def __init__(self, fault: ResizeReserve, context: FaultContext) -> None:
        self._node = context.world.nodes[fault.target]
        self._pages = fault.pages
        self._reserves = context.holds.reserves
        self._sizes = context.holds.sizes

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Resize the reserve; pages in use stay in use."""
        if not self._node.up:
            raise NotPossible(f"{self._node.name} was down")
        reserve = (self._node.name,)
        held = self._reserves.value(reserve)
        try:
            self._reserves.hold(self, {reserve: self._pages})
        except CrunchbedError as error:
            raise NotPossible(str(error)) from error
        was = self._sizes.before[self._node.name] if held is None else held
        if held is None and was == self._pages:
            self._reserves.release(self)
            raise NotPossible(f"the reserve of {self._node.name} had {was} pages already")
        return replace(event, pages=self._reserves.value(reserve), was=was)

    def undo(self) -> None:
        """Give the reserve the size that the other faults leave it, or its former size."""
        # A node that reboots meanwhile takes the size that its scenario says.
        with suppress(CrunchbedError):
            self._reserves.release(self)
