"""What the kernels of machines say of heartbeats that were missed.

No hook looks at a machine's packets, so that no drop has the tag of a heartbeat. The kernel counts
what it lost instead, and a count that rises around a miss, in memory pressure, is its cause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from crunchbed.checks.dues import Due
from crunchbed.checks.pressure import episodes
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.guests import GuestCounted
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent

_SAMPLED_NS: Final = 100_000_000
"""A count that rises is recorded within this time."""
_LOST: Final = ("rx_dropped", "rx_missed", "rx_fifo_errors")


class _Rise(NamedTuple):
    """Counts that rose.

    Attributes:
        span: When.
        drops: Packets from the reserve that were for no memalloc socket.
        failures: Allocations that failed, and packets that the card had no buffer for.
    """

    span: Interval
    drops: int
    failures: int


class GuestEvidence:
    """The counts of every machine of a run; none in a run of namespaces."""

    def __init__(self, history: History) -> None:
        self._rises: defaultdict[str, list[_Rise]] = defaultdict(list)
        counted: defaultdict[str, list[GuestCounted]] = defaultdict(list)
        for event in history.of(GuestCounted):
            counted[event.node].append(event)
        for node, events in counted.items():
            self._rises[node] = [rise for pair in pairwise(events) if (rise := _rise(*pair))]
        self._pressure = {node: episodes(history, node) for node in counted}
        self._refused = {
            (event.node, event.tag, peer)
            for event in history.of(HeartbeatSent)
            for peer in event.failed or ()
        }

    def cause(self, miss: HeartbeatMissed, due: Due, interval_ns: int) -> str | None:
        """Return the cause of a miss as the kernels know it; None where they know none.

        The receiver's drops come first. A heartbeat that a machine under pressure did not send in
        time, or at all, was held up there. What is left are the receiver's failed allocations,
        since the begin of its pressure: a card that has no buffer left receives nothing, and
        counts nothing more.
        """
        around = Interval(due.when.start, max(miss.deadline, miss.t) + _SAMPLED_NS)
        pressed: dict[str, Interval] = {}
        for node in self._receivers(miss):
            spans = [one for one in self._pressure.get(node, ()) if one.clip(around)]
            if spans:
                pressed[node] = Interval(spans[0].start - _SAMPLED_NS, around.end)
        if any(one.drops for node in pressed for one in self._within(node, around)):
            return "reserve_drop"
        if _has_tag(miss) and self._was_held_up(miss, due, interval_ns):
            return "stalled_sender"
        if any(
            one.failures for node, since in pressed.items() for one in self._within(node, since)
        ):
            return "allocation_failure"
        return None

    def _receivers(self, miss: HeartbeatMissed) -> Iterable[str]:
        """Return who may not have received what the observer misses.

        Corosync's packets have no tags: its token goes around and may end at any node, and a link
        is silent where the question does not arrive, or the answer.
        """
        if _has_tag(miss):
            return (miss.node,)
        return self._pressure if miss.peer is None else (miss.node, miss.peer)

    def _within(self, node: str, span: Interval) -> list[_Rise]:
        return [one for one in self._rises.get(node, ()) if one.span.clip(span)]

    def _was_held_up(self, miss: HeartbeatMissed, due: Due, interval_ns: int) -> bool:
        refused = (miss.peer, miss.tag, miss.node) in self._refused
        if not refused and due.sent is not None and due.sent in due.when:
            return False
        when = Interval(due.when.start - interval_ns, due.when.end)
        return any(one.clip(when) for one in self._pressure.get(miss.peer or "", ()))


def _has_tag(miss: HeartbeatMissed) -> bool:
    return bool(miss.tag or miss.probe)


def _rise(before: GuestCounted, after: GuestCounted) -> _Rise | None:
    """Return what rose between two records of one boot; counts begin again at a boot."""
    drops = after.pfmemalloc_drops - before.pfmemalloc_drops
    failures = sum(after.failed.values()) - sum(before.failed.values())
    failures += sum(getattr(after, name) - getattr(before, name) for name in _LOST)
    if min(drops, failures) < 0 or not (drops or failures):
        return None
    return _Rise(Interval(max(before.t, after.t - _SAMPLED_NS), after.t + 1), drops, failures)
