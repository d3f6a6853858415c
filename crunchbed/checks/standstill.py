"""When the testbed itself stood still: nothing moved on any node at once.

A crunch stops one node's block I/O; the others go on. Where no node at all has a write
acknowledged for many times the usual gap, it was the switch or the machine that stopped.
"""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Final

from crunchbed.history import History, Interval

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
    gaps = [Interval(before, after) for before, after in pairwise(times)]
    usual = statistics.median(gap.length for gap in gaps)
    return [gap for gap in gaps if gap.length > max(SHORTEST_NS, _USUAL_GAPS * usual)]
