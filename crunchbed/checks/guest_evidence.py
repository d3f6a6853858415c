"""What the kernels of machines say of heartbeats that were missed.

No hook looks at a machine's packets, so that no drop has the tag of a heartbeat. The kernel counts
what it lost instead, and a count that rises around a miss is its cause.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from crunchbed.checks.dues import Due
from crunchbed.checks.pressure import episodes
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.guests import GuestCounted
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent
from reserve_agent.contract.events.pressure import PoolConfigured
from reserve_agent.contract.packets import PacketClass

_SAMPLED_NS: Final = 100_000_000
"""A count that rises is recorded within this time."""
_EMPTY_RING_NS: Final = 2_000_000_000
"""For so long a driver may not see that its ring is empty (e1000_watchdog_task(), every 2 s)."""
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
        self._flags = {node: _flags(history, node) for node in counted}
        self._pressure = {node: episodes(history, node) for node in counted}
        self._missed = _missed(history)
        self._refused = {
            (event.node, event.tag, peer)
            for event in history.of(HeartbeatSent)
            for peer in event.failed or ()
        }

    def cause(self, miss: HeartbeatMissed, due: Due, interval_ns: int) -> str | None:
        """Return the cause of a miss as the kernels know it; None where they know none.

        The observer's drops come first. The peer of a probe had to hear the probe before it could
        answer, so that its losses come next. A heartbeat that a machine under pressure did not send
        in time, or at all, was held up there. What is left are the observer's failed allocations.
        """
        around = Interval(due.when.start, max(miss.deadline, miss.t) + _SAMPLED_NS)
        receivers = self._receivers(miss)
        if any(self._dropped(node, around) for node in receivers):
            return "reserve_drop"
        if not _has_tag(miss):
            failed = any(self._failed(node, around) for node in receivers)
            return "allocation_failure" if failed else None
        refused = (miss.peer, miss.tag, miss.node) in self._refused
        if miss.probe and miss.peer and due.sent is None and not refused:
            if self._dropped(miss.peer, around):
                return "reserve_drop"
            if self._failed(miss.peer, around):
                return "allocation_failure"
        if self._was_held_up(miss, due, interval_ns, refused=refused):
            return "stalled_sender"
        failed = self._failed(miss.node, around) or self._ring_is_empty(miss, interval_ns)
        return "allocation_failure" if failed else None

    def _dropped(self, node: str, around: Interval) -> bool:
        """Whether packets from the reserve were dropped, in pressure or after it.

        A card whose ring was filled in pressure brings packets in those buffers after it. A
        heartbeat for a flagged socket is not among them.
        """
        if self._is_flagged(node, around.start):
            return False
        return any(one.drops for one in self._within(node, around))

    def _failed(self, node: str, around: Interval) -> bool:
        """Whether allocations failed, since the begin of the pressure around that time.

        A card that has no buffer left receives nothing, and counts nothing more.
        """
        pressed = [one for one in self._pressure.get(node, ()) if one.clip(around)]
        return bool(pressed) and any(
            one.failures
            for one in self._within(node, Interval(pressed[0].start - _SAMPLED_NS, around.end))
        )

    def _ring_is_empty(self, miss: HeartbeatMissed, interval_ns: int) -> bool:
        """Whether the observer has heard nothing of this peer since a pressure without buffers."""
        ended = [one for one in self._pressure.get(miss.node, ()) if one.end <= miss.deadline]
        if not ended or miss.deadline - ended[-1].end > _EMPTY_RING_NS:
            return False
        deadlines = self._missed[miss.node, miss.peer]
        last = bisect_left(deadlines, miss.deadline)
        while last and deadlines[last] - deadlines[last - 1] < 2 * interval_ns:
            last -= 1
        return deadlines[last] < ended[-1].end and self._failed(miss.node, ended[-1])

    def _is_flagged(self, node: str, t: int) -> bool:
        flags = self._flags.get(node, ())
        return next((flagged for since, flagged in reversed(flags) if since <= t), False)

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

    def _was_held_up(
        self, miss: HeartbeatMissed, due: Due, interval_ns: int, *, refused: bool
    ) -> bool:
        if not refused and due.sent is not None and due.sent in due.when:
            return False
        when = Interval(due.when.start - interval_ns, due.when.end)
        return any(one.clip(when) for one in self._pressure.get(miss.peer or "", ()))


def _flags(history: History, node: str) -> list[tuple[int, bool]]:
    """Return from when on the socket of heartbeats was flagged, or not, by time."""
    label = PacketClass.HEARTBEAT.label
    return [(one.t, label in (one.memalloc or ())) for one in history.of(PoolConfigured, node)]


def _missed(history: History) -> dict[tuple[str, str | None], list[int]]:
    """Return the deadlines of all misses by observer and peer, by time."""
    found: defaultdict[tuple[str, str | None], list[int]] = defaultdict(list)
    for miss in history.of(HeartbeatMissed):
        found[miss.node, miss.peer].append(miss.deadline)
    return {pair: sorted(deadlines) for pair, deadlines in found.items()}


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
