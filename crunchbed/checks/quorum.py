"""How long the cluster had no majority of nodes that are heard.

A node is heard at a moment if it is up and at least one other live node gets its heartbeats.
Without a majority of such nodes no view can eject anybody either: the cluster stands still until
a node recovers by itself. Only detectors that listen to every peer can tell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from crunchbed.checks.heartbeats import misses
from crunchbed.checks.lives import downtimes
from crunchbed.history.history import History, Interval
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds

_WINDOW = 1.5
"""Intervals within which one heartbeat of each peer is due, jitter included."""

Missed = Mapping[tuple[str, str | None], Sequence[int]]
"""Deadlines of the misses of each pair of observer and peer, sorted."""


def lost_seconds(history: History, scenario: Scenario) -> float | None:
    """Return for how long there was no majority, spells shorter than the deadline left out.

    None where the detector does not expect a heartbeat of every node on every other.
    """
    if not scenario.heard_by_all:
        return None
    inject, collect = history.phase("inject"), history.phase("collect")
    if inject is None or collect is None:
        return None
    step, names = scenario.heartbeat.interval, scenario.node_names
    missed, downs = _misses_by_pair(history), {n: downtimes(history, n) for n in names}
    window = round(_WINDOW * step)
    lost, spell = 0, 0
    for t, looks in _looks(Interval(inject.start, collect.start), step, window, missed, downs):
        up = [name for name in names if not any(t in down for down in downs[name])]
        if len(_heard(up, missed, Interval(t - window, t))) > len(names) // 2:
            lost += spell if spell >= scenario.deadline_ns else 0
            spell = 0
        else:
            spell += looks * step
    return seconds(lost + (spell if spell >= scenario.deadline_ns else 0))


def _looks(
    span: Interval,
    step: int,
    window: int,
    missed: Missed,
    downs: Mapping[str, Sequence[Interval]],
) -> Iterator[tuple[int, int]]:
    """Yield when to look, once an interval, and how many looks in a row see the same.

    What is seen changes where a miss enters or leaves the window, and where a node goes down or
    comes back. So it takes as long as there are such changes, however long the span is.
    """
    changes = {span.start}
    for deadlines in missed.values():
        changes.update(t + after for t in deadlines for after in (1, window + 1))
    for intervals in downs.values():
        changes.update(t for interval in intervals for t in interval)
    firsts = {span.start + -(-(t - span.start) // step) * step for t in changes if t in span}
    times = [*sorted(t for t in firsts if t in span), span.end]
    for t, following in pairwise(times):
        yield t, -(-(following - t) // step)


def _misses_by_pair(history: History) -> Missed:
    """When each observer missed each peer, by time."""
    found: dict[tuple[str, str | None], list[int]] = {}
    for miss in misses(history):
        found.setdefault((miss.node, miss.peer), []).append(miss.deadline)
    return {pair: sorted(times) for pair, times in found.items()}


def _heard(up: Sequence[str], missed: Missed, within: Interval) -> list[str]:
    """Nodes heard by at least one other live node."""
    return [
        name
        for name in up
        if any(not _any_in(missed.get((by, name), ()), within) for by in up if by != name)
    ]


def _any_in(times: Sequence[int], within: Interval) -> bool:
    index = bisect_left(times, within.start)
    return index < len(times) and times[index] < within.end
