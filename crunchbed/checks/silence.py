"""How long a node heard nothing of a peer, as its missed heartbeats tell it."""

from __future__ import annotations

from collections import defaultdict

from crunchbed.checks.drops import silence_ns
from crunchbed.history.history import History
from reserve_agent.contract.events.heartbeats import HeartbeatMissed


def longest_silence_seconds(history: History, interval_ns: int) -> float:
    """Return the longest time for which an observer missed one peer; 0 where nobody missed any.

    Heartbeats that are missed one after the other are one silence: from the interval before the
    first deadline to the last one.
    """
    of_pair: defaultdict[tuple[str, str | None], list[HeartbeatMissed]] = defaultdict(list)
    for miss in history.of(HeartbeatMissed):
        of_pair[miss.node, miss.peer].append(miss)
    longest = 0
    for misses in of_pair.values():
        begun = end = 0
        for miss in sorted(misses, key=lambda miss: miss.deadline):
            start = miss.deadline - silence_ns(miss, interval_ns)
            if not end or start > end + interval_ns // 2:
                begun = start
            end = miss.deadline
            longest = max(longest, end - begun)
    return longest / 1e9
