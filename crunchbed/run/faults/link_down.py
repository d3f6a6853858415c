"""A link fails: the switch port of a host goes down, and the host sees its carrier go.

A host with several links loses them all, or that to one network.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import World
from crunchbed.scenario.faults import LinkDown

_SETTLE_SECONDS = 2.0


class LinkDownFault:
    """See the module."""

    def __init__(self, fault: LinkDown, world: World) -> None:
        self._network = fault.network
        self._said: dict[str, Any] = {"target": fault.target}
        if fault.network is not None:
            self._said["network"] = fault.network
        self._port = world.ports[fault.target]
        self._recorder = world.recorder
        self._others = [port.host for name, port in world.ports.items() if name != fault.target]
        self._settle_until: float | None = None
        self._cut = False

    def begin(self) -> Mapping[str, Any]:
        """Cut the port; a node that is down when it is cut comes back without a link."""
        self._recorder.record("port.down", **self._said)
        self._cut = True
        self._port.cut(self._network)
        return {} if self._network is None else {"network": self._network}

    def undo(self) -> None:
        """Mend the port."""
        if self._cut:
            self._cut = False
            if self._port.mend(self._network):
                self._settle_until = time.monotonic() + _SETTLE_SECONDS

    def settling(self) -> bool:
        """Whether packets do not pass yet; ``port.up`` is recorded once they do."""
        if self._settle_until is None:
            return False
        if time.monotonic() < self._settle_until and not self._port.settled(self._others):
            return True
        self._settle_until = None
        self._recorder.record("port.up", **self._said)
        return False
