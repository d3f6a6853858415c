"""A switch loses power: every carrier it gave is gone, and what it had learnt with them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from crunchbed.backends.namespaces.configs import rings
from crunchbed.run.faults.protocol import NotPossible, World
from crunchbed.scenario.faults import SwitchCrash
from topologies.node import NodeLink

_SETTLE_SECONDS = 5.0


class SwitchCrashFault:
    """See the module.

    A host is cut off that has no ring of heartbeats by another switch.
    """

    def __init__(self, fault: SwitchCrash, world: World) -> None:
        self._name = fault.target
        self._switches = world.switches
        self._controller = world.controller
        self._ports = world.ports
        self._recorder = world.recorder
        self._cut: list[str] = []
        self._off = False
        self._settle_until: float | None = None

    def _links(self) -> list[tuple[str, NodeLink]]:
        """Every host's links to this switch."""
        full = self._switches.full_name(self._name)
        return [
            (name, link)
            for name, port in self._ports.items()
            for link in port.host.links
            if link.switch == full
        ]

    def begin(self) -> Mapping[str, Any]:
        """Power off; a node that boots meanwhile has no carrier there either."""
        if not self._switches.is_on(self._name):
            raise NotPossible(f"{self._name} was down")
        links = self._links()
        lost = {name: {link.ip for one, link in links if one == name} for name, _ in links}
        self._cut = [name for name in lost if lost[name] >= set(rings(self._ports[name].host))]
        for name in self._cut:
            self._recorder.record("port.down", target=name, switch=self._name)
        self._off = True
        for name, link in links:
            self._ports[name].cut(link.network)
        self._switches.turn_off(self._name)
        networks = {name: [link.network for one, link in links if one == name] for name in lost}
        return {"cut": self._cut, "lost": networks}

    def undo(self) -> None:
        """Power on: the same switch, that knows nothing."""
        if self._off:
            self._off = False
            self._switches.turn_on(self._name)
            for name, link in self._links():
                self._ports[name].mend(link.network)
            self._settle_until = time.monotonic() + _SETTLE_SECONDS

    def settling(self) -> bool:
        """Whether packets do not pass yet; ``port.up`` of who was cut off comes when they do."""
        if self._settle_until is None:
            return False
        if time.monotonic() < self._settle_until and not self._passes():
            return True
        self._settle_until = None
        for name in self._cut:
            self._recorder.record("port.up", target=name, switch=self._name)
        return False

    def _passes(self) -> bool:
        hosts = {name: self._ports[name] for name, _ in self._links()}
        others = [port.host for port in self._ports.values()]
        ready = self._controller is None or self._controller.is_ready()
        return ready and all(
            port.settled([other for other in others if other is not port.host])
            for port in hosts.values()
        )
