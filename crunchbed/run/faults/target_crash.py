"""The storage host's block target dies and is started again on the same data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import World


class TargetCrashFault:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._target = world.target
        self._killed = False

    def begin(self) -> Mapping[str, Any]:
        """SIGKILL."""
        self._killed = True
        self._target.kill_target()
        return {}

    def undo(self) -> None:
        """Start it again."""
        if self._killed:
            self._killed = False
            self._target.start_target()
