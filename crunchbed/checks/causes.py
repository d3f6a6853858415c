"""Why a heartbeat was missed: each miss joined with what the hooks and the daemons recorded.

The hooks record the first eight payload bytes of a heartbeat that they drop. Those, the tag, name
its sender, the sender's boot and the number, so a miss finds the very packet that it lacks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from crunchbed.checks.heartbeats import misses
from crunchbed.checks.lives import downtimes
from crunchbed.checks.standstill import standstills
from crunchbed.history import Event, History, Interval

_DROP_CAUSES: Final[Mapping[str, str]] = {
    "alloc_failed": "allocation_failure",
    "reserve_exhausted": "allocation_failure",
    "not_memalloc": "reserve_drop",
    "softnet_throttled": "reserve_drop",
    "no_pool": "reserve_drop",
    "pool_empty": "reserve_drop",
    "not_critical": "reserve_drop",
    "not_vm_aware": "reserve_drop",
}
"""Cause by reason, of a drop at the observer."""

_Lacking = tuple[str, str]
"""The node that did not get a heartbeat, and the heartbeat's tag."""


def cause_of_each(history: History, interval_ns: int) -> list[tuple[Event, str]]:
    """Return every ``heartbeat.miss`` with its cause, one of ``figures.CAUSES``.

    Args:
        history: the run.
        interval_ns: time between two heartbeats of a node.
    """
    found = misses(history)
    if not found:
        return []
    drops, late, absent = _drops(history), _late(history), _Absences(history)
    still = standstills(history)
    return [(miss, _cause(miss, interval_ns, drops, late, absent, still)) for miss in found]


def causes_by_observer(history: History, interval_ns: int) -> dict[str, Counter[str]]:
    """Return the number of misses by cause, for each node that observed any."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for miss, cause in cause_of_each(history, interval_ns):
        found[miss.node][cause] += 1
    return dict(found)


def _cause(
    miss: Event,
    interval_ns: int,
    drops: Mapping[_Lacking, Event],
    late: Mapping[str, list[Interval]],
    absent: _Absences,
    still: list[Interval],
) -> str:
    peer = str(miss.data.get("peer"))
    deadline = miss.data.get("deadline", miss.t)
    drop = drops.get((miss.node, miss.data.get("tag") or ""))
    if drop is not None:
        if drop.data["hook"] == "transmit":
            return "stalled_sender"
        return _DROP_CAUSES.get(drop.data["reason"], "unknown")
    if absent.covers(miss.node, peer, deadline):
        return "fenced_peer"
    # It was due before its deadline, and lateness of either side then, or since, explains it.
    window = Interval(deadline - 2 * interval_ns, miss.t + 1)
    lateness = (one for node in (miss.node, peer) for one in late.get(node, ()))
    if any(one.clip(window) for one in (*lateness, *still)):
        return "testbed"
    return "unknown"


def _drops(history: History) -> dict[_Lacking, Event]:
    found: dict[_Lacking, Event] = {}
    for event in history.of("drop"):
        if event.data.get("cls") == "heartbeat":
            sent = event.data["hook"] == "transmit"
            observer = _node_at(event.data["dst"]) if sent else event.node
            found.setdefault((observer, event.data["tag"]), event)
    return found


def _node_at(address: str) -> str:
    """Return the cluster node with this address: that of n7 ends in 7."""
    return f"n{address.rsplit('.', 1)[-1]}"


def _late(history: History) -> dict[str, list[Interval]]:
    found: defaultdict[str, list[Interval]] = defaultdict(list)
    for event in history.of("heartbeat.late"):
        found[event.node].append(Interval(event.t - event.data["late_ns"], event.t + 1))
    return found


class _Absences:
    """From when a node was down until an observer's view held it again."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._downs: dict[str, list[int]] = {}
        self._added: dict[tuple[str | None, str], list[int]] = {}

    def covers(self, observer: str, peer: str, t: int) -> bool:
        """Return whether ``peer`` was absent for ``observer`` at ``t``."""
        if peer not in self._downs:
            self._downs[peer] = [down.start for down in downtimes(self._history, peer)]
        since = max((down for down in self._downs[peer] if down <= t), default=None)
        if since is None:
            return False
        back = self._first_added(observer, peer, since) or self._first_added(None, peer, since)
        return back is None or t < back

    def _first_added(self, observer: str | None, peer: str, since: int) -> int | None:
        key = (observer, peer)
        if key not in self._added:
            views = self._history.of("membership.view", observer)
            self._added[key] = [v.t for v in views if peer in v.data.get("added", ())]
        times = self._added[key]
        index = bisect_left(times, since)
        return times[index] if index < len(times) else None
