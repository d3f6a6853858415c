"""Heartbeats sent and missed."""

from __future__ import annotations

from crunchbed.history.history import History, Interval
from reserve_agent.contract.events import HeartbeatMissed


def sent(history: History, node: str, within: Interval | None = None) -> int:
    """Return how many heartbeats ``node`` sent, one to each peer counted as one."""
    return sum(
        _count(event.data.get("peers", 1))
        for event in history.of("heartbeat.sent", node)
        if within is None or event.t in within
    )


def misses(history: History, node: str | None = None) -> list[HeartbeatMissed]:
    """Return the misses of one observer, or of all, from the control phase to the daemons' end.

    Before ``control`` daemons are still starting; ``collect`` begins with their end, one node
    after the other.
    """
    control, collect = history.phase("control"), history.phase("collect")
    start = 0 if control is None else control.start
    found = [miss for miss in history.of(HeartbeatMissed, node) if miss.t >= start]
    return [miss for miss in found if collect is None or miss.t < collect.start]


def missed(history: History, node: str) -> int:
    """Return how many heartbeats ``node``, as an observer, did not get by their deadline."""
    return len(misses(history, node))


def _count(peers: object) -> int:
    if isinstance(peers, int):
        return peers
    return len(peers) if isinstance(peers, list | dict) else 1
