"""A second node comes to want pages: on time, or with the work of a node that went down."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from crunchbed.backends.namespaces.live_node import AgentAway
from crunchbed.run.faults.protocol import NotPossible, World
from crunchbed.run.inject import WritebackCrunch
from crunchbed.run.plan import Burst as Pages
from crunchbed.scenario.faults import Burst

_LEAD_NS = 20_000_000
"""Between telling the node's writeback and the burst, so that it is at once everywhere."""


class BurstFault:
    """See the module."""

    def __init__(self, fault: Burst, world: World) -> None:
        self._node = world.nodes[fault.target]
        self._from = None if fault.work_of is None else world.nodes[fault.work_of]
        self._crunch = WritebackCrunch(self._node, Pages(fault.pages, fault.rate))
        self._recorder = world.recorder
        self._pages = fault.pages
        self._takes_ns = fault.takes
        self._boot = 0
        self._due_ns: int | None = None
        self._incarnation: int | None = None
        self._earliest_end_ns = 0

    def begin(self) -> Mapping[str, Any]:
        """Want them now, or wait for the other node to go down."""
        if self._from is None:
            if not self._node.up:
                raise NotPossible(f"{self._node.name} was down")
            self._start()
            return {"pages": self._pages}
        self._boot = self._from.incarnation
        return {"pages": self._pages, "from": self._from.name}

    def _start(self) -> None:
        self._incarnation = self._node.incarnation
        start = time.monotonic_ns() + _LEAD_NS
        self._earliest_end_ns = self._crunch.begin(start)
        self._recorder.record("burst.begin", t=start, target=self._node.name, pages=self._pages)

    @property
    def _rebooted(self) -> bool:
        return not self._node.up or self._node.incarnation != self._incarnation

    def _other_went_down(self) -> bool:
        other = self._from
        return other is not None and (not other.up or other.incarnation != self._boot)

    def lingers(self) -> bool:
        """Whether the node still wants pages; it begins to where the other has gone down."""
        if self._incarnation is None:
            if self._due_ns is None and self._other_went_down():
                self._due_ns = time.monotonic_ns() + self._takes_ns
            if self._due_ns is None or not self._node.up:
                return False
            if time.monotonic_ns() < self._due_ns:
                return True
            self._start()
        if self._rebooted:
            return False
        if time.monotonic_ns() < self._earliest_end_ns or self._crunch.pending():
            return True
        try:
            return bool(self._node.ask("status")["pool"]["pressure"])
        except AgentAway:
            return True

    def undo(self) -> None:
        """Whoever still waits gives up."""
        if self._incarnation is not None and not self._rebooted:
            self._crunch.undo()
