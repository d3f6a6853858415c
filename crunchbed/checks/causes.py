"""Why a heartbeat was missed: each miss joined with what the hooks and the daemons recorded.

The hooks record the first eight payload bytes of a heartbeat that they drop. Those, the tag, name
its sender, the sender's boot and the number, so a miss finds the very packet that it lacks.
Where no packet was dropped, the faults and the clocks of that moment are asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from crunchbed.checks.absences import Absences
from crunchbed.checks.drops import Drops
from crunchbed.checks.dues import Due, Dues
from crunchbed.checks.faults import FaultSpan, fault_spans, ports_down
from crunchbed.checks.heartbeats import misses
from crunchbed.checks.standstill import standstills
from crunchbed.history.history import History, Interval, remembered
from reserve_agent.contract.events import Event, HeartbeatMissed


@remembered
def cause_of_each(history: History, interval_ns: int) -> list[tuple[HeartbeatMissed, str]]:
    """Return every ``heartbeat.miss`` with its cause, one of ``figures.CAUSES``.

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
    """Everything that can explain a miss, the most certain first."""

    def __init__(self, history: History, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        faults = fault_spans(history)
        self._drops = Drops(history, faults)
        self._dues = Dues(history, interval_ns)
        self._ports = ports_down(history)
        self._partitions = [fault for fault in faults if fault.kind == "partition"]
        self._switches = [fault.span for fault in faults if fault.kind == "switch-crash"]
        self._stalls = [fault for fault in faults if fault.kind == "stall"]
        self._absent = Absences(history)
        self._late = _late(history, self._stalls)
        self._still = standstills(history)

    def cause(self, miss: Event) -> str:
        """Return the cause of one miss."""
        dropped = self._drops.cause(miss, self._interval_ns)
        if dropped is not None:
            return dropped
        due = self._dues.of(miss)
        if self._link_was_down(miss, due):
            return "link"
        if self._was_parted(miss, due):
            return "partition"
        if self._sender_was_stopped(miss, due):
            return "stalled_sender"
        peer, deadline = miss.data.get("peer"), miss.data.get("deadline", miss.t)
        if peer is not None and self._absent.covers(miss.node, str(peer), deadline):
            return "fenced_peer"
        return "testbed" if self._testbed_was_late(miss, deadline) else "unknown"

    def _link_was_down(self, miss: Event, due: Due) -> bool:
        """What has no known peer went around: any link or switch may have stopped it."""
        peer = miss.data.get("peer")
        if peer is None and any(gone.clip(due.when) for gone in self._switches):
            return True
        hosts = self._ports if peer is None else (miss.node, str(peer))
        return any(down.clip(due.when) for host in hosts for down in self._ports.get(host, ()))

    def _was_parted(self, miss: Event, due: Due) -> bool:
        """Nothing was dropped where nothing was sent any more: its fence belongs to the fault."""
        ends = (miss.node, str(miss.data.get("peer")))
        return any(one.span.clip(due.when) and one.separates(*ends) for one in self._partitions)

    def _sender_was_stopped(self, miss: Event, due: Due) -> bool:
        deadline = miss.data.get("deadline", miss.t)
        peer = miss.data.get("peer")
        if (
            due.sent is not None
            and due.sent <= deadline
            and not any(due.sent in fault.span for fault in self._stalls)
        ):
            return False
        return any(
            fault.span.clip(due.when)
            for fault in self._stalls
            if peer is None or fault.stalls(str(peer))
        )

    def _testbed_was_late(self, miss: Event, deadline: int) -> bool:
        # It was due before its deadline, and lateness of either side then, or since, explains it.
        window = Interval(deadline - 2 * self._interval_ns, miss.t + 1)
        ends = (miss.node, str(miss.data.get("peer")))
        lateness = (one for node in ends for one in self._late.get(node, ()))
        return any(one.clip(window) for one in (*lateness, *self._still))


def _late(history: History, stalls: list[FaultSpan]) -> dict[str, list[Interval]]:
    """Return when daemons were late by their own clocks, but for those that a fault stopped."""
    found: defaultdict[str, list[Interval]] = defaultdict(list)
    for event in history.of("heartbeat.late"):
        lateness = Interval(event.t - event.data["late_ns"], event.t + 1)
        if not any(one.stalls(event.node) and one.span.clip(lateness) for one in stalls):
            found[event.node].append(lateness)
    return found
