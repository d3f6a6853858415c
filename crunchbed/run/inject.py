"""Carrying out a plan on a running cluster, and taking it back."""

from __future__ import annotations

import time

from crunchbed.run.live_node import LiveNode
from crunchbed.run.plan import Plan
from crunchbed.run.recorder import Recorder
from reserve_agent.errors import CrunchbedError
from reserve_agent.lines import LineClient

_LEAD_NS = 100_000_000  # between telling a node and the crunch, so that it starts on time


class Injection:
    """One crunch while it goes on."""

    def __init__(self, plan: Plan, node: LiveNode, recorder: Recorder) -> None:
        self._plan = plan
        self._node = node
        self._recorder = recorder
        self._incarnation = node.incarnation
        self._start_ns = 0
        self._end_ns = 0

    def begin(self) -> None:
        """Hand the plan to the target node."""
        plan = self._plan
        self._start_ns = time.monotonic_ns() + _LEAD_NS + plan.delay_ns
        self._end_ns = self._start_ns + (plan.windows[-1][1] if plan.windows else 0)
        windows = [[self._start_ns + start, self._start_ns + end] for start, end in plan.windows]
        self._recorder.record(
            "crunch.begin",
            t=self._start_ns,
            crunch=plan.kind,
            target=plan.target,
            requested=plan.requested,
            windows=windows,
        )
        if plan.burst is not None:
            self._command(
                "burst", pages=plan.burst.pages, rate=plan.burst.rate, start_ns=self._start_ns
            )
            return
        self._node.ask("windows", windows=[[*window, plan.level] for window in windows])

    def _command(self, op: str, **fields: int) -> None:
        client = LineClient(self._node.control_socket)
        try:
            client.ask(op=op, **fields)
        finally:
            client.close()

    @property
    def _rebooted(self) -> bool:
        return not self._node.up or self._node.incarnation != self._incarnation

    def over(self) -> bool:
        """Whether the crunch has run its course, or its node was cut off."""
        if self._rebooted:
            return True
        if time.monotonic_ns() < max(self._end_ns, self._start_ns + _LEAD_NS):
            return False
        pool = self._node.ask("status")["pool"]
        if self._plan.burst is not None and pool["demand"] > 0:
            return False
        return not pool["pressure"]

    def undo(self) -> None:
        """Whatever is left of it ends now."""
        if self._plan.burst is not None and not self._rebooted:
            try:
                self._command("calm")
            except CrunchbedError:
                if not self._rebooted:
                    raise
        self._recorder.record("crunch.end", crunch=self._plan.kind, target=self._plan.target)
