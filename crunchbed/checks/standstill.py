"""When the testbed itself stood still: nothing moved on any node at once.

A crunch stops one node's block I/O; the others go on. Where no node at all has a write
acknowledged for many times the usual gap, it was the switch or the machine that stopped; unless
a fault has taken away what all of them write to.
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

SHORTEST_NS: Final = 30_000_000
"""Shorter standstills do not make a heartbeat late enough to matter."""

_USUAL_GAPS: Final = 10
_FEWEST_WRITES: Final = 50


def standstills(history: History) -> list[Interval]:
    """Return the intervals in which no node's writes were acknowledged, though there were many."""
    phases = (history.phase("control"), history.phase("collect"))
    if None in phases:
        return []
    start, end = (phase.start for phase in phases if phase is not None)
    times = [event.t for event in history.of("write.ack") if start <= event.t < end]
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
    """Whether every node that writes was down or under pressure in it: no wonder, then."""
    writers = {event.node for event in history.of("write.ack")}
    return all(
        any(gap.clip(episode) for episode in episodes(history, node))
        or not any(gap.clip(life) for life in lives(history, node))
        for node in writers
    )


def _without_target(history: History) -> list[Interval]:
    """Return when a fault may have kept every node from its target; what follows a gap's begin.

    A gap goes on after the fault, until the initiators have noticed that it is over: it is
    explained as a whole. Where nodes serve the target themselves, losing one is such a fault.
    """
    servers = {STORAGE, *(event.node for event in history.of("service.start"))}
    servers |= {target_of(event) for event in history.of("service.start")}
    found = [
        one.span
        for one in fault_spans(history)
        if one.effect.target_failed or servers.intersection(one.targets)
    ]
    changes = [*history.of("service.start"), *history.of("service.stop")]
    found += [Interval(event.t, event.t + 1) for event in changes]
    downs = (e for e in history.of("node.down") if target_of(e) in servers)
    return [*found, *(Interval(event.t, event.t + 1) for event in downs)]
