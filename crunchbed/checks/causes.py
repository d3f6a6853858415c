"""Why a heartbeat was missed: each miss joined with what the hooks and the daemons recorded.

The hooks record the first eight payload bytes, the tag, of each heartbeat that they drop. The tag
names the sender, its boot and the heartbeat's number, so that a miss finds its very packet. Where
no packet was dropped, the faults and the clocks of that moment tell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from crunchbed.checks.drops import Drops
from crunchbed.checks.dues import Due, Dues
from crunchbed.checks.faults import FaultSpan, fault_spans, ports_down
from crunchbed.checks.guest_evidence import GuestEvidence
from crunchbed.checks.heartbeats import misses
from crunchbed.checks.lateness import stood_still
from crunchbed.checks.lives import downtimes
from crunchbed.checks.standstill import standstills
from crunchbed.history.history import History, Interval, remembered
from reserve_agent.contract.events.heartbeats import HeartbeatLate, HeartbeatMissed
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.run import PartLate, RunInfo

_HEARTBEAT_PARTS: Final = ("heartbeat", "machine", "attendant")
"""What sends a node's heartbeats, as ``part.late`` calls it."""


@remembered
def cause_of_each(history: History, interval_ns: int) -> list[tuple[HeartbeatMissed, str]]:
    """Return every missed heartbeat with its cause, one of ``figures.CAUSES``.

    Args:
        history: the run.
        interval_ns: time between two heartbeats of a node.
    """
    found = misses(history)
    if not found:
        return []
    evidence = _Evidence(history, interval_ns)
    return [(miss, evidence.cause(miss)) for miss in found]


def causes_by_observer(history: History, interval_ns: int) -> dict[str, Counter[str]]:
    """Return the number of misses by cause, for each node that observed any."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for miss, cause in cause_of_each(history, interval_ns):
        found[miss.node][cause] += 1
    return dict(found)


class _Evidence:
    """Everything that can explain a miss; the most certain explanation counts."""

    def __init__(self, history: History, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        faults = fault_spans(history)
        self._drops = Drops(history, faults)
        self._dues = Dues(history, interval_ns)
        self._guests = GuestEvidence(history)
        self._ports = ports_down(history)
        self._partitions = [fault for fault in faults if fault.effect.parted]
        self._losses = [fault for fault in faults if fault.kind == "loss"]
        self._switches = [fault.span for fault in faults if fault.effect.switch_failed]
        self._stalls = [fault for fault in faults if fault.effect.stalled]
        self._absent = _Absences(history)
        self._late: Mapping[str, list[Interval]] = {}
        self._still: list[Interval] = []
        if not any(info.backend == "simulation" for info in history.of(RunInfo)):
            # A simulated testbed is never late: its clock waits for everybody.
            self._late = _late(history, self._stalls)
            # For longer than an interval, and so for long enough that a heartbeat is not sent.
            parts = [one.span for one in stood_still(history) if one.span.length > interval_ns]
            self._still = [*standstills(history), *parts]

    def cause(self, miss: HeartbeatMissed) -> str:
        """Return the cause of one miss."""
        dropped = self._drops.cause(miss, self._interval_ns)
        if dropped is not None:
            return dropped
        due = self._dues.of(miss)
        if self._link_was_down(miss, due):
            return "link"
        if self._was_parted(miss, due):
            return "partition"
        if self._all_was_lost(miss, due):
            return "loss"
        if self._sender_was_stopped(miss, due):
            return "stalled_sender"
        if miss.peer is not None and self._absent.covers(miss.node, miss.peer, miss.deadline):
            return "fenced_peer"
        if (counted := self._guests.cause(miss, due, self._interval_ns)) is not None:
            return counted
        if self._testbed_was_late(miss):
            return "testbed"
        return self._drops.cause_of_silence(miss, due.when) or "unknown"

    def _link_was_down(self, miss: HeartbeatMissed, due: Due) -> bool:
        """A token has no known peer, since it goes around: any link or switch can stop it."""
        if miss.peer is None and any(gone.clip(due.when) for gone in self._switches):
            return True
        hosts = self._ports if miss.peer is None else (miss.node, miss.peer)
        return any(down.clip(due.when) for host in hosts for down in self._ports.get(host, ()))

    def _was_parted(self, miss: HeartbeatMissed, due: Due) -> bool:
        """Also where no packet was dropped, since the peer was fenced for the partition."""
        return any(
            one.span.clip(due.when) and one.separates(miss.node, miss.peer)
            for one in self._partitions
        )

    def _all_was_lost(self, miss: HeartbeatMissed, due: Due) -> bool:
        """Also where no packet was dropped, since the peer was fenced for the loss."""
        peer = miss.peer
        return peer is not None and any(
            one.span.clip(due.when) and one.deafens(miss.node, peer) for one in self._losses
        )

    def _sender_was_stopped(self, miss: HeartbeatMissed, due: Due) -> bool:
        if (
            due.sent is not None
            and due.sent <= miss.deadline
            and not any(due.sent in fault.span for fault in self._stalls)
        ):
            return False
        return any(
            fault.span.clip(due.when)
            for fault in self._stalls
            if miss.peer is None or fault.stalls(miss.peer)
        )

    def _testbed_was_late(self, miss: HeartbeatMissed) -> bool:
        # The heartbeat was due before its deadline: a late sender or observer, then or since,
        # explains the miss.
        window = Interval(miss.deadline - 2 * self._interval_ns, miss.t + 1)
        ends = [node for node in (miss.node, miss.peer) if node is not None]
        lateness = (one for node in ends for one in self._late.get(node, ()))
        return any(one.clip(window) for one in (*lateness, *self._still))


def _late(history: History, stalls: list[FaultSpan]) -> dict[str, list[Interval]]:
    """Return when what sends heartbeats stood still, what a fault stopped left out."""
    found: defaultdict[str, list[Interval]] = defaultdict(list)
    late: list[HeartbeatLate | PartLate] = [
        *history.of(HeartbeatLate),
        *(event for event in history.of(PartLate) if event.part in _HEARTBEAT_PARTS),
    ]
    for event in late:
        lateness = Interval(event.t - event.late_ns, event.t + 1)
        if not any(one.stalls(event.node) and one.span.clip(lateness) for one in stalls):
            found[event.node].append(lateness)
    return found


class _Absences:
    """When no heartbeat of a peer could be expected: it was down, or not yet a member again."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._downs: dict[str, list[int]] = {}
        self._added: dict[tuple[str | None, str], list[int]] = {}

    def covers(self, observer: str, peer: str, t: int) -> bool:
        """Return whether ``peer`` was absent: from its power-off until a view held it again."""
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
            views = self._history.of(ViewInstalled, observer)
            self._added[key] = [view.t for view in views if peer in view.added]
        times = self._added[key]
        index = bisect_left(times, since)
        return times[index] if index < len(times) else None
