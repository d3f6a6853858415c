"""When the testbed itself stood still: nothing moved on any node at once.

A crunch stops the block I/O of one node; the others go on. Where no node at all has a write
acknowledged for many times the usual gap, the switch or the machine stood still; unless a fault
has stopped the target that all nodes write to.
"""

from __future__ import annotations

import statistics
from operator import sub
from typing import Final

from crunchbed.checks.faults import fault_spans
from crunchbed.checks.lives import lives, target_of
from crunchbed.checks.pressure import episodes
from crunchbed.faults.base import STORAGE
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.writes import ServiceStarted, ServiceStopped, WriteAcknowledged

SHORTEST_NS: Final = 30_000_000
"""Shorter standstills do not make a heartbeat late enough to matter."""

_USUAL_GAPS: Final = 10
_FEWEST_WRITES: Final = 50


def standstills(history: History) -> list[Interval]:
    """Return the intervals in which no node's writes were acknowledged, though there were many."""
    control, collect = history.phase("control"), history.phase("collect")
    if control is None or collect is None:
        return []
    span = Interval(control.start, collect.start)
    times = [event.t for event in history.during(WriteAcknowledged, span)]
    if len(times) < _FEWEST_WRITES:
        return []
    lengths = list(map(sub, times[1:], times))
    shortest = max(SHORTEST_NS, _USUAL_GAPS * statistics.median(lengths))
    ends = (index for index, length in enumerate(lengths, 1) if length > shortest)
    long = [Interval(times[index - 1], times[index]) for index in ends]
    explained = _without_target(history)
    long = [gap for gap in long if not _all_short_of_memory(history, gap)]
    return [gap for gap in long if not any(gap.clip(one) for one in explained)]


def _all_short_of_memory(history: History, gap: Interval) -> bool:
    """Whether every node that writes was down or under pressure in the gap, and so explains it."""
    writers = {event.node for event in history.of(WriteAcknowledged)}
    return all(
        any(gap.clip(episode) for episode in episodes(history, node))
        or not any(gap.clip(life) for life in lives(history, node))
        for node in writers
    )


def _without_target(history: History) -> list[Interval]:
    """Return when a fault may have kept every node from its target.

    Such a fault explains the whole of a gap, which goes on after the fault until the initiators
    have noticed its end. Where nodes serve the target themselves, losing one is such a fault.
    """
    starts = history.of(ServiceStarted)
    servers = {STORAGE, *(start.node for start in starts), *map(target_of, starts)}
    found = [
        one.span
        for one in fault_spans(history)
        if one.effect.target_failed or servers.intersection(one.targets)
    ]
    changes = [*starts, *history.of(ServiceStopped)]
    found += [Interval(event.t, event.t + 1) for event in changes]
    downs = (e for e in history.of(NodeDown) if target_of(e) in servers)
    return [*found, *(Interval(event.t, event.t + 1) for event in downs)]
