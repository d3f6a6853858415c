"""A slow link: netem holds every packet to a host back, at its switch port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import World
from crunchbed.scenario.faults import Delay
from topologies.wiring import delay_port, undelay_port


class DelayFault:
    """See the module."""

    def __init__(self, fault: Delay, world: World) -> None:
        self._port = world.ports[fault.target].name
        self._delay_ns = fault.delay
        self._delayed = False

    def begin(self) -> Mapping[str, Any]:
        """Hang netem under the port's shaper."""
        delay_port(self._port, self._delay_ns)
        self._delayed = True
        return {"delay_ns": self._delay_ns}

    def undo(self) -> None:
        """Take it away again."""
        if self._delayed:
            self._delayed = False
            undelay_port(self._port)
