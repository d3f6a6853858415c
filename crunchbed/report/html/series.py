"""Curves of a run: free pages, the rate of writes, and how slow writes were. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final

from crunchbed.checks import writes
from crunchbed.checks.lives import downtimes
from crunchbed.checks.reserve import reserve_pages
from crunchbed.history.history import History, Interval
from crunchbed.report import node_timeline
from crunchbed.report.html.thin import Grid, Span
from crunchbed.report.node_timeline import PAGES_A_MEBIBYTE
from crunchbed.report.time_axis import TimeAxis
from reserve_agent.contract.events.writes import WriteAcknowledged

RATE_SECONDS: Final = 0.1  # width of a bin of the write rate, unless the run is long
_RATE_BINS: Final = 600
_LATENCY_POINTS: Final = 160

Runs = Mapping[str, tuple[History, str, TimeAxis]]
"""By label, a run, the node of it that is drawn, and its time axis."""

Curves = dict[str, Any]
"""``x``, and ``series``: of each a ``label`` and ``y``, as long as ``x``; None draws nothing."""


def free_pages(runs: Runs, begin: float, end: float) -> Curves:
    """Return the free pages of a node of each run, and its reserve, in pages of 4 KiB."""
    grid = Grid(begin, end)
    series = []
    for label, (history, node, axis) in runs.items():
        points = sorted((axis.at(t), free) for t, free in node_timeline.free_pages(history, node))
        down = [(axis.at(one.start), axis.at(one.end)) for one in downtimes(history, node)]
        up = [one for one in points if not any(a <= one[0] < b for a, b in down)]
        reserve = reserve_pages(history, node)
        series.append({"label": label, "y": grid.extremes(up, down), "reserve": reserve})
    return {"x": grid.times(), "series": series, "bin_seconds": grid.width}


def write_rates(runs: Runs, begin: float, end: float) -> Curves:
    """Return the acknowledged MiB/s of a node of each run; None where nothing was measured."""
    width = max(RATE_SECONDS, (end - begin) / _RATE_BINS)
    count = max(1, math.ceil((end - begin) / width))
    edges = [round(begin + index * width, 6) for index in range(count)]
    series = []
    for label, (history, node, axis) in runs.items():
        blocks = [0] * count
        first, wide = axis.zero + round(begin * 1e9), round(width * 1e9)
        for ack in history.of(WriteAcknowledged, node):
            index = (ack.t - first) // wide
            if 0 <= index < count:
                blocks[index] += ack.blocks
        measured = axis.at(history.measured.start), axis.at(history.measured.end)
        rate = [_rate(n, edge, width, measured) for n, edge in zip(blocks, edges, strict=True)]
        series.append({"label": label, "y": rate})
    return {"x": edges, "series": series, "bin_seconds": width}


def _rate(blocks: int, begin: float, width: float, measured: Span) -> float | None:
    """MiB/s in one bin; None where the run covers less than half of it: that is no standstill."""
    covered = min(begin + width, measured[1]) - max(begin, measured[0])
    if covered < width / 2:
        return None
    return round(blocks / PAGES_A_MEBIBYTE / covered, 3)


def slower_than(latencies_ns: Mapping[str, Sequence[int]]) -> Curves:
    """Return the share of writes that took longer than x seconds, from sorted ns by label."""
    known = {label: found for label, found in latencies_ns.items() if found}
    if not known:
        return {"x": [], "series": []}
    low = max(1, min(found[0] for found in known.values()))
    high = max(2 * low, max(found[-1] for found in known.values()))
    step = (high / low) ** (1 / (_LATENCY_POINTS - 1))
    x = [round(low * step**index) for index in range(_LATENCY_POINTS)]
    series = [
        {"label": label, "y": [_share_above(found, one) for one in x], "count": len(found)}
        for label, found in known.items()
    ]
    return {"x": [one / 1e9 for one in x], "series": series}


def _share_above(found: Sequence[int], limit: int) -> float | None:
    """The share above a limit; None for 0, which a logarithmic axis cannot show."""
    above = len(found) - bisect_right(found, limit)
    return above / len(found) if above else None


def latencies(history: History, nodes: Sequence[str]) -> list[int]:
    """Return the latency of every write of these nodes in nanoseconds, sorted."""
    return sorted(ns for node in nodes for ns in writes.latencies_ns(history, node))


def phases(history: History, axis: TimeAxis, shown: Interval) -> list[tuple[str, float, float]]:
    """Return name, begin and end in seconds of each phase that is shown."""
    found = []
    for name in ("control", "inject", "recovery"):
        span = history.phase(name)
        clipped = span.clip(shown) if span else None
        if clipped is not None:
            found.append((name, axis.at(clipped.start), axis.at(clipped.end)))
    return found
