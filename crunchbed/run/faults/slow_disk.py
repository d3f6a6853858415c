"""The disk behind the target becomes slow: every write takes ``wdelay`` longer.

nbdkit takes its delay filter when it starts, so the target is started anew, with the filter and at
the end without it. Initiators reconnect both times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import World
from crunchbed.scenario.faults import SlowDisk


class SlowDiskFault:
    """See the module."""

    def __init__(self, fault: SlowDisk, world: World) -> None:
        self._target = world.target
        self._wdelay_ns = fault.wdelay
        self._slow = False

    def begin(self) -> Mapping[str, Any]:
        """Start the target anew with the filter."""
        self._slow = True
        self._target.kill_target()
        self._target.start_target(self._wdelay_ns)
        return {"wdelay_ns": self._wdelay_ns}

    def undo(self) -> None:
        """And without."""
        if self._slow:
            self._slow = False
            self._target.kill_target()
            self._target.start_target()
