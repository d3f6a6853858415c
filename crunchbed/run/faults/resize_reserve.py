"""A node's reserve has another size for a while, as when an admin writes to min_free_kbytes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from crunchbed.run.faults.protocol import NotPossible, World
from crunchbed.scenario.faults import ResizeReserve
from reserve_agent.errors import CrunchbedError


class ResizeReserveFault:
    """See the module."""

    def __init__(self, fault: ResizeReserve, world: World) -> None:
        self._node = world.nodes[fault.target]
        self._pages = fault.pages
        self._before: int | None = None

    def begin(self) -> Mapping[str, Any]:
        """Resize it; what is in use stays in use."""
        if not self._node.up:
            raise NotPossible(f"{self._node.name} was down")
        try:
            self._before = int(self._node.ask("resize", reserve=self._pages)["was"])
        except CrunchbedError as error:
            raise NotPossible(str(error)) from error
        return {"pages": self._pages, "was": self._before}

    def undo(self) -> None:
        """The size that it had."""
        if self._before is not None:
            # A node that reboots meanwhile takes the size that its scenario says.
            with suppress(CrunchbedError):
                self._node.ask("resize", reserve=self._before)
