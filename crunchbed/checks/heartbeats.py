"""Heartbeats sent and missed."""

from __future__ import annotations

from crunchbed.history import Event, History


def sent(history: History, node: str) -> int:
    """Return how many heartbeats ``node`` sent, one to each peer counted as one."""
    return sum(_count(event.data.get("peers", 1)) for event in history.of("heartbeat.sent", node))


def misses(history: History, node: str | None = None) -> list[Event]:
    """Return the misses of one observer, or of all, until the run ended its daemons.

    The ``collect`` phase begins with that end, one node after the other.
    """
    collect = history.phase("collect")
    found = history.of("heartbeat.miss", node)
    return [miss for miss in found if collect is None or miss.t < collect.start]


def missed(history: History, node: str) -> int:
    """Return how many heartbeats ``node``, as an observer, did not get by their deadline."""
    return len(misses(history, node))


def _count(peers: object) -> int:
    if isinstance(peers, int):
        return peers
    return len(peers) if isinstance(peers, list | dict) else 1
