"""The crunched node of one run through time, as a picture shows it. Pure.

All times are seconds after second 0 of the time axis (``time_axis.py``).
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
from crunchbed.report.time_axis import node_and_zero, zero_in_words
from reserve_agent.contract.events.pressure import PoolConfigured, PoolSampled, PressureBegan
from reserve_agent.contract.events.writes import WriteAcknowledged

LEAD_SECONDS = 1.0  # shown of the time before the crunch
BIN_SECONDS = 0.1  # width of one value of the write rate
PAGES_A_MEBIBYTE = 256  # pages of 4 KiB, which are blocks of block I/O too
Span = tuple[float, float]


@dataclass(frozen=True)
class NodeTimeline:
    """One node of one run, as a row of panels."""

    node: str
    since: str  # what the times are counted from, in words
    reserve: int  # R, in pages of 4 KiB
    end: float  # when measuring ended
    free: list[list[tuple[float, int]]]  # (time, pages), a list for each stretch of being up
    pressure: list[Span]  # when the node had no page for a normal task
    written: list[float]  # acknowledged MiB/s in bins of ``BIN_SECONDS`` from -``LEAD_SECONDS``
    missed: dict[str, list[float]]  # deadlines of the node's missed heartbeats, by observer
    down: list[Span]  # from each fence of the node until the node boots
    ejected: list[float]  # when the node was ejected
    boots: list[float]  # when the node booted again


def node_timeline(history: History) -> NodeTimeline:
    """Return the timeline of the node that a run is about."""
    node, zero = node_and_zero(history, _nodes(history))
    end = history.measured.end
    down, free = downtimes(history, node), free_pages(history, node)

    def at(t: int) -> float:
        return (t - zero) / 1e9

    def spans(intervals: Iterable[Interval]) -> list[Span]:
        shown = (one.clip(Interval(zero - round(LEAD_SECONDS * 1e9), end)) for one in intervals)
        return [(at(one.start), at(one.end)) for one in shown if one is not None]

    missed: dict[str, list[float]] = {peer: [] for peer in _nodes(history) if peer != node}
    for miss in misses(history):
        if miss.peer == node:
            deadline = at(miss.deadline)
            if deadline >= -LEAD_SECONDS:
                missed.setdefault(miss.node, []).append(deadline)
    return NodeTimeline(
        node=node,
        since=zero_in_words(history),
        reserve=reserve_pages(history, node) or 0,
        end=at(end),
        free=[[(at(t), pages) for t, pages in free if t in life] for life in lives(history, node)],
        pressure=spans(episodes(history, node)),
        written=_rate(history, node, zero, at(end)),
        missed=missed,
        down=spans(down),
        ejected=[at(one.t) for one in ejections(history) if one.node == node],
        boots=[at(one.end) for one in down if one.end <= history.span.end],
    )


def _nodes(history: History) -> list[str]:
    names = {event.node for event in history.of(PoolConfigured)}
    return sorted(names, key=lambda name: (len(name), name))


def free_pages(history: History, node: str) -> list[tuple[int, int]]:
    """Return (time in nanoseconds, free pages): of every sample and every begin of pressure."""
    events: list[PoolSampled | PressureBegan] = [
        *history.of(PoolSampled, node),
        *history.of(PressureBegan, node),
    ]
    return sorted((event.t, event.free) for event in events)


def _rate(history: History, node: str, zero: int, end: float) -> list[float]:
    """MiB/s by bin; only bins that end before ``end``."""
    bins = [0.0] * max(0, int((end + LEAD_SECONDS) / BIN_SECONDS))
    for ack in history.of(WriteAcknowledged, node):
        index = int(((ack.t - zero) / 1e9 + LEAD_SECONDS) // BIN_SECONDS)
        if 0 <= index < len(bins):
            bins[index] += ack.blocks / PAGES_A_MEBIBYTE / BIN_SECONDS
    return bins
