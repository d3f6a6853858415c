"""How long a path took to come back after a switch or a link had failed."""

from __future__ import annotations

from crunchbed.checks.faults import FaultSpan, fault_spans
from crunchbed.checks.writes import stalls
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.heartbeats import RingDown, RingUp


def path_restore_seconds(history: History, node: str, request_bytes: int) -> float | None:
    """Return the longest stall of the node's writes that a failed path can have caused.

    Such a stall overlaps with the fault of a switch or a link. None without such a fault, or
    where the node wrote nothing.
    """
    faults = [one.span for one in _faults(history)]
    found = stalls(history, node, request_bytes, 0) if faults else []
    if not found:
        return None
    caused = [one.length for one in found if any(one.clip(fault) for fault in faults)]
    return max(caused, default=0) / 1e9


def rings_restore_seconds(history: History, node: str) -> float | None:
    """Return the time from the end of a fault until the node gets heartbeats on every ring again.

    Up to the end of the measurement where a ring stayed silent. None where no ring was lost.
    """
    faults = [one.span for one in _faults(history)]
    lost = _lost_rings(history, node)
    if not faults or not lost:
        return None
    return max(_late(one, faults) for one in lost) / 1e9


def _late(lost: Interval, faults: list[Interval]) -> int:
    """Return how much longer a ring was lost than the faults lasted that it was lost in."""
    ends = [fault.end for fault in faults if lost.start in fault]
    return max(0, lost.end - max(ends, default=lost.start))


def _faults(history: History) -> list[FaultSpan]:
    return [one for one in fault_spans(history) if one.hit and one.effect.path_failed]


def _lost_rings(history: History, node: str) -> list[Interval]:
    """Return the time of every loss of a ring, up to the end of the measurement."""
    measured = history.measured
    since: dict[tuple[int, str], int] = {}
    found = []
    # After the measurement the daemons end, one after the other.
    events: list[RingDown | RingUp] = history.together(RingDown, RingUp, node=node)
    for event in (one for one in events if one.t in measured):
        key = (event.ring, event.peer)
        if isinstance(event, RingDown):
            since.setdefault(key, event.t)
        elif key in since:
            found.append(Interval(since.pop(key), event.t))
    return found + [Interval(start, measured.end) for start in since.values()]
