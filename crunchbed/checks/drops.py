"""Heartbeats that the hooks dropped: by tag, or by pair and time where a miss names no tag."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

from crunchbed.checks.faults import FaultSpan
from crunchbed.history.history import History
from reserve_agent.contract.events import Event
from reserve_agent.contract.packets import DROP_CAUSES


class Drops:
    """The dropped packets of class ``heartbeat``, whatever protocol they belong to."""

    def __init__(self, history: History, faults: Sequence[FaultSpan]) -> None:
        self._partitions = [fault for fault in faults if fault.effect.parted]
        self._events = [e for e in history.of("drop") if e.data.get("cls") == "heartbeat"]
        self._times = [event.t for event in self._events]
        self._by_tag: dict[tuple[str, str], Event] = {}
        for event in self._events:
            receiver = _ends(event)[1]
            self._by_tag.setdefault((receiver, event.data.get("tag") or ""), event)

    def cause(self, miss: Event, interval_ns: int) -> str | None:
        """Return the cause of a miss, if a packet that it lacks was dropped.

        That is the heartbeat with the miss's tag, on its way to the observer, or the observer's
        own probe on its way to the peer. A miss without a tag lacks whatever the two, or where
        it knows no peer all, lost in the interval before its deadline, or in the longer silence
        that it tells of.
        """
        tag, probe, peer = (miss.data.get(key) for key in ("tag", "probe", "peer"))
        found = self._by_tag.get((miss.node, tag)) if tag else None
        if found is None and probe:
            found = self._by_tag.get((str(peer), probe))
        if found is not None:
            return self._cause(found)
        return None if tag or probe else self._around(miss, interval_ns)

    def _around(self, miss: Event, interval_ns: int) -> str | None:
        deadline = miss.data.get("deadline", miss.t)
        first = bisect_left(self._times, deadline - silence_ns(miss, interval_ns))
        near = self._events[first : bisect_right(self._times, deadline)]
        peer = miss.data.get("peer")
        pair = {miss.node, peer}
        causes = Counter(
            self._cause(event) for event in near if peer is None or set(_ends(event)) == pair
        )
        return causes.most_common(1)[0][0] if causes else None

    def _cause(self, drop: Event) -> str:
        if drop.data["hook"] == "transmit":
            return "stalled_sender"
        cause = DROP_CAUSES.get(drop.data["reason"], "unknown")
        if cause == "loss" and any(
            drop.t in fault.span and fault.separates(*_ends(drop)) for fault in self._partitions
        ):
            return "partition"
        return cause


def silence_ns(miss: Event, interval_ns: int) -> int:
    """Return how long before its deadline what a miss lacks may have been due: an interval."""
    return max(interval_ns, int(miss.data.get("silent_ns") or 0))


def _ends(drop: Event) -> tuple[str, str]:
    """Return sender and receiver; one of them has recorded it."""
    if drop.data["hook"] == "transmit":
        return drop.node, _node_at(drop.data.get("dst"))
    return _node_at(drop.data.get("src")), drop.node


def _node_at(address: str | None) -> str:
    """Return the cluster node with this address: that of n7 ends in 7."""
    return "" if address is None else f"n{address.rsplit('.', 1)[-1]}"
