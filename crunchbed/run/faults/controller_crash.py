"""The OpenFlow controller is killed: the switches are to go on without it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from crunchbed.backends.namespaces.controller import READY_SECONDS
from crunchbed.run.faults.protocol import NotPossible, World


class ControllerCrashFault:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._controller = world.controller
        self._killed = False
        self._ready_by: float | None = None

    def begin(self) -> Mapping[str, Any]:
        """SIGKILL."""
        if self._controller is None or not self._controller.kill():
            raise NotPossible("the controller was down")
        self._killed = True
        return {}

    def undo(self) -> None:
        """Start another."""
        if self._killed and self._controller is not None:
            self._killed = False
            self._controller.restart()
            self._ready_by = time.monotonic() + READY_SECONDS

    def settling(self) -> bool:
        """Whether it has yet to take over."""
        if self._ready_by is None or self._controller is None:
            return False
        if time.monotonic() < self._ready_by and not self._controller.is_ready():
            return True
        self._ready_by = None
        return False
