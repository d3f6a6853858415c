"""The timeline's row of each node: spans and marks in seconds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from crunchbed.checks import pressure, service, writes
from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.faults import fault_spans
from crunchbed.checks.figures import CAUSES
from crunchbed.checks.lives import downtimes
from crunchbed.checks.membership import ejections
from crunchbed.history.history import History, Interval
from crunchbed.report.html import thin
from crunchbed.report.html.thin import Mark, Span
from crunchbed.report.time_axis import TimeAxis
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.heartbeats import HeartbeatSent

STALL_SECONDS: Final = 0.1
"""How long no write is acknowledged, while some wait, until that is drawn as a stall."""

_SILENT_INTERVALS: Final = 2.0
_SPANS: Final = ("pressure", "down", "faults", "serving", "beating", "stalls")
_MARKS: Final = ("unheard", "missed")


@dataclass
class Lane:
    """One node's row; times in seconds of the time axis, causes as indexes in ``CAUSES``."""

    label: str
    measured: Span  # from the begin to the end of measuring, which differs between runs
    pressure: list[Span]  # when the node had no page for a normal task
    down: list[Span]  # from each fence or death of the node until the node boots
    faults: list[Span]  # when a fault of the scenario hit the node
    serving: list[Span]  # when the node served the block device
    beating: list[Span]  # when its heartbeats went out, without a gap of over two intervals
    stalls: list[Span]  # when writes waited and none was acknowledged for ``STALL_SECONDS``
    unheard: list[Mark]  # the node's heartbeats that others missed
    missed: list[Mark]  # heartbeats of others that the node missed
    ejected: list[float]  # when the node was ejected alive
    removed: list[float]  # when the node was ejected since it was down or cut off
    left_out: dict[str, int] = field(default_factory=dict)  # kinds with fewer drawn: how many

    def since(self, begin: float) -> Lane:
        """Return the row without marks before ``begin``; spans are clipped where they are made."""
        return replace(
            self,
            unheard=[mark for mark in self.unheard if mark[0] >= begin],
            missed=[mark for mark in self.missed if mark[0] >= begin],
            ejected=[t for t in self.ejected if t >= begin],
            removed=[t for t in self.removed if t >= begin],
        )

    def thinned(self, whole: Span, most: int) -> Lane:
        """Return the row with at most ``most`` spans or marks of a kind; see ``left_out``."""
        fewer: dict[str, Any] = {}
        for name in _SPANS:
            fewer[name] = thin.spans(getattr(self, name), most)
        for name in _MARKS:
            fewer[name] = thin.marks(getattr(self, name), whole, most)
        counts = {name: len(getattr(self, name)) for name in fewer}
        left_out = {name: n for name, n in counts.items() if n > len(fewer[name])}
        return replace(self, **fewer, left_out=left_out)


class Lanes:
    """Makes the rows of one run; what was before ``begin`` (CLOCK_MONOTONIC, ns) is left out."""

    def __init__(self, history: History, scenario: Scenario, axis: TimeAxis, begin: int) -> None:
        self._history, self._scenario, self._axis = history, scenario, axis
        self._shown = Interval(begin, history.measured.end)
        self._unheard: dict[str, list[Mark]] = {}
        self._missed: dict[str, list[Mark]] = {}
        for miss, cause in cause_of_each(history, scenario.heartbeat.interval):
            mark = (axis.at(miss.deadline), CAUSES.index(cause))
            self._missed.setdefault(miss.node, []).append(mark)
            if miss.peer is not None:
                self._unheard.setdefault(miss.peer, []).append(mark)
        self._ejections = ejections(history)
        self._faults = fault_spans(history)
        self._servings = service.servings(history)

    def of(self, node: str, label: str | None = None) -> Lane:
        """Return the whole row of one node."""
        history = self._history
        gone = [one for one in self._ejections if one.node == node]
        request = self._scenario.block_io.request
        begin = max(self._shown.start, history.measured.start)
        return Lane(
            label=label or node,
            measured=(self._axis.at(begin), self._axis.at(self._shown.end)),
            pressure=self._spans(pressure.episodes(history, node)),
            down=self._spans(downtimes(history, node)),
            faults=self._spans(one.span for one in self._faults if node in one.targets),
            serving=self._spans(one.when for one in self._servings if one.node == node),
            beating=self._spans(self._beating(node)),
            stalls=self._spans(writes.stalls(history, node, request, round(STALL_SECONDS * 1e9))),
            unheard=sorted(self._unheard.get(node, [])),
            missed=sorted(self._missed.get(node, [])),
            ejected=[self._axis.at(one.t) for one in gone if one.false],
            removed=[self._axis.at(one.t) for one in gone if not one.false],
        )

    def _beating(self, node: str) -> list[Interval]:
        """A summary does not have the times of heartbeats."""
        scenario = self._scenario
        if scenario.summarised:
            return []
        return _beating(self._history, node, scenario.heartbeat.interval)

    def _spans(self, found: Iterable[Interval]) -> list[Span]:
        clipped = (one.clip(self._shown) for one in found)
        at = self._axis.at
        return sorted((at(one.start), at(one.end)) for one in clipped if one is not None)


def _beating(history: History, node: str, interval_ns: int) -> list[Interval]:
    """When heartbeats went out without a gap; a single heartbeat counts for one interval."""
    times = [event.t for event in history.of(HeartbeatSent, node)]
    if not times:
        return []
    longest = _SILENT_INTERVALS * interval_ns
    breaks = [index + 1 for index, (a, b) in enumerate(pairwise(times)) if b - a > longest]
    edges = [0, *breaks, len(times)]
    return [
        Interval(times[first], times[last - 1] + interval_ns) for first, last in pairwise(edges)
    ]
