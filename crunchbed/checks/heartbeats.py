"""Heartbeats sent and missed."""

from __future__ import annotations

from collections.abc import Sequence

from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent


def sent(history: History, node: str, within: Interval | None = None) -> int:
    """Return how many heartbeats ``node`` sent, one to each peer counted as one."""
    if within is None:
        events = history.of(HeartbeatSent, node)
    else:
        events = history.during(HeartbeatSent, within, node)
    every = (event.peers for event in events)
    return sum(peers if isinstance(peers, int) else len(peers) for peers in every)


def misses(history: History, node: str | None = None) -> Sequence[HeartbeatMissed]:
    """Return the misses of one observer, or of all, from the control phase to the daemons' end.

    Before ``control`` daemons are still starting; in ``collect`` they end, one node after the
    other.
    """
    control, collect = history.phase("control"), history.phase("collect")
    start = 0 if control is None else control.start
    end = history.span.end + 1 if collect is None else collect.start
    return history.during(HeartbeatMissed, Interval(start, end), node)


def missed(history: History, node: str) -> int:
    """Return how many heartbeats ``node``, as an observer, did not get by their deadline."""
    return len(misses(history, node))
