"""A slow link: netem holds every packet to a host back, at its switch ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import World
from crunchbed.scenario.faults import Delay
from topologies.wiring import delay_port, undelay_port


class DelayFault:
    """See the module."""

    def __init__(self, fault: Delay, world: World) -> None:
        self._ports = world.ports[fault.target].names
        self._delay_ns = fault.delay
        self._delayed: list[str] = []

    def begin(self) -> Mapping[str, Any]:
        """Hang netem under the ports' shapers."""
        for port in self._ports:
            delay_port(port, self._delay_ns)
            self._delayed.append(port)
        return {"delay_ns": self._delay_ns}

    def undo(self) -> None:
        """Take it away again."""
        while self._delayed:
            undelay_port(self._delayed.pop())
