"""What a picture shows of one run: the crunched node through time. Pure: a history in, series out.

All times are seconds after the crunch began; where there is none, after the inject phase did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crunchbed.checks.heartbeats import misses
from crunchbed.checks.lives import downtimes, lives
from crunchbed.checks.membership import ejections
from crunchbed.checks.pressure import episodes
from crunchbed.checks.reserve import reserve_pages
from crunchbed.history.history import History, Interval
from crunchbed.report.subject import since_what, subject_of
from reserve_agent.contract.packets import PAGE_BYTES

LEAD_SECONDS = 1.0
"""Shown of the time before the crunch."""

BIN_SECONDS = 0.1
"""Width of one value of the write rate."""

_MEBIBYTE = 1 << 20

Span = tuple[float, float]


@dataclass(frozen=True)
class Trace:
    """One run, as a row of panels.

    Attributes:
        node: The one that the run is about.
        since: What its times are counted from.
        reserve: R, in pages.
        end: When measuring ended.
        free: (time, free pages) of the node's pool, for each stretch in which it was up.
        pressure: When the node had no page for a normal task.
        written: Acknowledged MiB/s in bins of ``BIN_SECONDS``, the first ``LEAD_SECONDS`` early.
        missed: By observer, the deadlines of the node's heartbeats that it missed.
        down: From the node's fence until it boots.
        ejected: When it was ejected.
        boots: When it booted again.
    """

    node: str
    since: str
    reserve: int
    end: float
    free: list[list[tuple[float, int]]]
    pressure: list[Span]
    written: list[float]
    missed: dict[str, list[float]]
    down: list[Span]
    ejected: list[float]
    boots: list[float]


def trace(history: History) -> Trace:
    """Read one run's row out of its history."""
    node, zero = subject_of(history, _nodes(history))
    end = history.measured.end
    down = downtimes(history, node)

    def at(t: int) -> float:
        return (t - zero) / 1e9

    def spans(intervals: Iterable[Interval]) -> list[Span]:
        shown = (one.clip(Interval(zero - round(LEAD_SECONDS * 1e9), end)) for one in intervals)
        return [(at(one.start), at(one.end)) for one in shown if one is not None]

    missed: dict[str, list[float]] = {peer: [] for peer in _nodes(history) if peer != node}
    for miss in misses(history):
        if miss.data.get("peer") == node:
            deadline = at(miss.data.get("deadline", miss.t))
            if deadline >= -LEAD_SECONDS:
                missed.setdefault(miss.node, []).append(deadline)
    return Trace(
        node=node,
        since=since_what(history),
        reserve=reserve_pages(history, node) or 0,
        end=at(end),
        free=[[(at(t), pages) for t, pages in life] for life in _free(history, node)],
        pressure=spans(episodes(history, node)),
        written=_rate(history, node, zero, at(end)),
        missed=missed,
        down=spans(down),
        ejected=[at(one.t) for one in ejections(history) if one.node == node],
        boots=[at(one.end) for one in down if one.end <= history.span.end],
    )


def _nodes(history: History) -> list[str]:
    names = {event.node for event in history.of("pool.config")}
    return sorted(names, key=lambda name: (len(name), name))


def _free(history: History, node: str) -> list[list[tuple[int, int]]]:
    """Samples, and the exact moments at which pressure began."""
    kinds = ("pool.sample", "pressure.begin")
    events = [event for kind in kinds for event in history.of(kind, node)]
    points = sorted((e.t, int(e.data["free"])) for e in events)
    return [[point for point in points if point[0] in life] for life in lives(history, node)]


def _rate(history: History, node: str, zero: int, end: float) -> list[float]:
    """MiB/s by bin, whole bins up to ``end`` only."""
    bins = [0.0] * max(0, int((end + LEAD_SECONDS) / BIN_SECONDS))
    for ack in history.of("write.ack", node):
        index = int(((ack.t - zero) / 1e9 + LEAD_SECONDS) // BIN_SECONDS)
        if 0 <= index < len(bins):
            bins[index] += ack.data["blocks"] * PAGE_BYTES / _MEBIBYTE / BIN_SECONDS
    return bins
