"""How long the cluster had no majority of nodes that are heard.

A node is heard at a moment if it is up and at least one other live node gets its heartbeats.
Without a majority of such nodes no view can eject anybody either: the cluster stands still until
a node recovers by itself. Only detectors that listen to every peer can tell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

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
    lost, spell = 0, 0
    for t in range(inject.start, collect.start, step):
        up = [name for name in names if not any(t in down for down in downs[name])]
        since = t - round(_WINDOW * step)
        if len(_heard(up, missed, Interval(since, t))) > len(names) // 2:
            lost += spell if spell >= scenario.deadline_ns else 0
            spell = 0
        else:
            spell += step
    return seconds(lost + (spell if spell >= scenario.deadline_ns else 0))


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
