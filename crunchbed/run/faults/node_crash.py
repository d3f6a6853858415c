"""A node loses power, and nobody is told: the others have to find out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import NotPossible, World
from crunchbed.scenario.faults import NodeCrash


class NodeCrashFault:
    """See the module."""

    def __init__(self, fault: NodeCrash, world: World) -> None:
        self._target = fault.target
        self._supervisor = world.supervisor

    def begin(self) -> Mapping[str, Any]:
        """Power off."""
        if not self._supervisor.crash(self._target, "crash"):
            raise NotPossible(f"{self._target} was down")
        return {}

    def lingers(self) -> bool:
        """Whether it is still down: what fences it powers it on."""
        return self._supervisor.is_down(self._target)

    def undo(self) -> None:
        """Power on, unless its fence has done that or is about to."""
        self._supervisor.boot_if_down(self._target)
