"""Carrying out a plan on a running cluster, and taking it back: one small class for each kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from crunchbed.backends.namespaces import configs
from crunchbed.backends.namespaces.live_node import AgentAway, LiveNode, ended_by_itself
from crunchbed.history.recorder import Recorder
from crunchbed.run.plan import Burst, Flood, Plan
from nodes.process import Process
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.lines import LineClient

_LEAD_NS = 300_000_000
"""Between telling a node and the crunch, so that it starts on time; a process starts in it."""

_ASKED_NS = 100_000_000
"""Within which a node's tasks have asked for a burst that comes at once; it is not over before."""

StartHelper = Callable[[str, str, dict[str, Any]], Process]
"""Starts a module with a configuration on the storage host: (name, module, configuration)."""


class Crunch(Protocol):
    """One kind of crunch on one node."""

    def begin(self, start_ns: int) -> int:
        """Arrange it for ``start_ns``; returns the time before which it cannot be over."""

    def pending(self) -> bool:
        """Whether it goes on by something else than the pressure that is left."""

    def undo(self) -> None:
        """End what is left of it; its node may be gone."""


class WritebackCrunch:
    """Normal tasks dirty pages faster than block I/O can clean them."""

    def __init__(self, node: LiveNode, burst: Burst) -> None:
        self._node = node
        self._burst = burst

    def _command(self, op: str, **fields: int) -> None:
        """Tell the target's initiator; one that died is named as what it is."""
        try:
            client = LineClient(self._node.control_socket)
            try:
                client.ask(op=op, **fields)
            finally:
                client.close()
        except CrunchbedError as error:
            dead = self._node.dead_daemon()
            if dead is not None:
                raise ended_by_itself(dead) from error
            raise RunInvalid(f"{self._node.name} does not take {op}: {error}") from error

    def begin(self, start_ns: int) -> int:
        """Tell the node's writeback daemon, which asks the pool for the pages."""
        self._command("burst", pages=self._burst.pages, rate=self._burst.rate, start_ns=start_ns)
        return start_ns + self._burst.pages * 1_000_000_000 // self._burst.rate + _ASKED_NS

    def pending(self) -> bool:
        """Whether tasks still wait for pages."""
        try:
            return bool(self._node.ask("status")["pool"]["demand"] > 0)
        except AgentAway:
            return True  # nobody knows until there is an agent again

    def undo(self) -> None:
        """The tasks give up."""
        self._command("calm")


class TimedCrunch:
    """Windows without a page for a normal task, which the hooks hold against the clock."""

    def __init__(self, node: LiveNode, plan: Plan) -> None:
        self._node = node
        self._plan = plan

    def begin(self, start_ns: int) -> int:
        """Hand the windows to the hooks."""
        rows = [
            [start_ns + start, start_ns + end, self._plan.level]
            for start, end in self._plan.windows
        ]
        self._node.ask("windows", windows=rows)
        return int(rows[-1][1])

    def pending(self) -> bool:
        """Nothing but the windows."""
        return False

    def undo(self) -> None:
        """Windows end by themselves, and with their node."""


class FloodCrunch:
    """Packets for a reader that does not read."""

    def __init__(self, node: LiveNode, flood: Flood, start_helper: StartHelper) -> None:
        self._node = node
        self._flood = flood
        self._start_helper = start_helper
        self._source: Process | None = None

    def begin(self, start_ns: int) -> int:
        """Start the sender, which waits for its time."""
        config = configs.flood_source(self._flood, self._node.host.address("storage"), start_ns)
        self._source = self._start_helper("flood", "nodes.traffic", config)
        return start_ns + self._flood.duration_ns

    def pending(self) -> bool:
        """The pressure ends when the reader reads: that is the undo."""
        return False

    def undo(self) -> None:
        """The flood is over, and the reader reads."""
        self._node.ask("wake")


class Injection:
    """One crunch while it goes on."""

    def __init__(
        self, plan: Plan, node: LiveNode, recorder: Recorder, start_helper: StartHelper
    ) -> None:
        self._plan = plan
        self._node = node
        self._recorder = recorder
        self._incarnation = node.incarnation
        self._earliest_end_ns = 0
        self._crunch = _crunch(plan, node, start_helper)

    def begin(self) -> None:
        """Hand the plan to the target node.

        Raises:
            RunInvalid: The node is down before anything was done to it.
        """
        plan = self._plan
        if not self._node.up:
            raise RunInvalid(f"{plan.target} is down before the crunch")
        start = time.monotonic_ns() + _LEAD_NS + plan.delay_ns
        self._earliest_end_ns = self._crunch.begin(start)
        self._recorder.record(
            "crunch.begin",
            t=start,
            crunch=plan.kind,
            target=plan.target,
            requested=plan.requested,
            windows=[[start + begin, start + end] for begin, end in plan.windows],
        )

    @property
    def _rebooted(self) -> bool:
        return not self._node.up or self._node.incarnation != self._incarnation

    def over(self) -> bool:
        """Whether the crunch has run its course, or its node was cut off."""
        if self._rebooted:
            return True
        if time.monotonic_ns() < self._earliest_end_ns or self._crunch.pending():
            return False
        if self._plan.flood is not None:
            return True
        try:
            return not self._node.ask("status")["pool"]["pressure"]
        except AgentAway:
            return False

    def undo(self) -> None:
        """Whatever is left of it ends now."""
        if not self._rebooted:
            self._crunch.undo()
        self._recorder.record("crunch.end", crunch=self._plan.kind, target=self._plan.target)


def _crunch(plan: Plan, node: LiveNode, start_helper: StartHelper) -> Crunch:
    if plan.burst is not None:
        return WritebackCrunch(node, plan.burst)
    if plan.flood is not None:
        return FloodCrunch(node, plan.flood, start_helper)
    return TimedCrunch(node, plan)
