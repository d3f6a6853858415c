"""Heartbeats sent and missed."""

from __future__ import annotations

from crunchbed.history import History


def sent(history: History, node: str) -> int:
    """Return how many heartbeats ``node`` sent, one to each peer counted as one."""
    return sum(_count(event.data.get("peers", 1)) for event in history.of("heartbeat.sent", node))


def missed(history: History, node: str) -> int:
    """Return how many heartbeats ``node``, as an observer, did not get by their deadline."""
    return len(history.of("heartbeat.miss", node))


def _count(peers: object) -> int:
    if isinstance(peers, int):
        return peers
    return len(peers) if isinstance(peers, list | dict) else 1
