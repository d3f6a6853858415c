"""A link fails: the switch port of a host goes down, and the host sees its carrier go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import World
from crunchbed.scenario.faults import LinkDown


class LinkDownFault:
    """See the module."""

    def __init__(self, fault: LinkDown, world: World) -> None:
        self._target = fault.target
        self._port = world.ports[fault.target]
        self._recorder = world.recorder
        self._cut = False

    def begin(self) -> Mapping[str, Any]:
        """Cut the port; a node that is down when it is cut comes back without a link."""
        self._recorder.record("port.down", target=self._target)
        self._cut = True
        self._port.cut()
        return {}

    def undo(self) -> None:
        """Mend the port."""
        if self._cut:
            self._cut = False
            self._port.mend()
            self._recorder.record("port.up", target=self._target)
