"""Members that left and came back: how often, and how long it took from what had hit them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crunchbed.checks.faults import FaultSpan, fault_spans
from crunchbed.checks.lives import target_of
from crunchbed.checks.membership import ejections
from crunchbed.history.history import History
from reserve_agent.contract.events import Event


class Absence(NamedTuple):
    """A node out of the views of a majority; nanoseconds.

    Attributes:
        since: when it was hit by a fault, went down or was ejected, whichever was first.
        back: when a majority held it again; None: never.
    """

    since: int
    back: int | None


def absences(history: History, node: str, cluster: Sequence[str]) -> list[Absence]:
    """Return every absence of ``node``, by time, from the control phase to the collecting.

    A majority is one of all of ``cluster``. A node that went down is held by nobody until a view
    adds its next boot; one that was cut off is held until a view lacks it.
    """
    majority = len(cluster) // 2 + 1
    holders = set(cluster)
    found: list[Absence] = []
    out = False
    for event in _events(history, node):
        _hold(holders, event, node, cluster)
        if not out and len(holders) < majority:
            out = True
            since = found[-1].back if found else None
            found.append(Absence(_since(history, node, event.t, since or 0), None))
        elif out and len(holders) >= majority:
            out = False
            found[-1] = found[-1]._replace(back=event.t)
    return found


def flaps(found: Sequence[Absence]) -> int:
    """Return how often the node left and was admitted again."""
    return sum(one.back is not None for one in found)


def time_to_recover_seconds(history: History, found: Sequence[Absence]) -> float | None:
    """Return the longest absence, up to the end of the recovery where it did not end before.

    None where there was none.
    """
    end = history.measured.end
    return max((((one.back or end) - one.since) / 1e9 for one in found), default=None)


def _events(history: History, node: str) -> list[Event]:
    control, measured = history.phase("control"), history.measured
    start = measured.start if control is None else control.start
    downs = [e for e in history.of("node.down") if target_of(e) == node]
    both = sorted((*history.of("membership.view"), *downs), key=lambda event: event.t)
    return [event for event in both if start <= event.t < measured.end]


def _hold(holders: set[str], event: Event, node: str, cluster: Sequence[str]) -> None:
    """Bring up to date whose view holds the node."""
    if event.kind == "node.down":
        holders.clear()
    elif event.data.get("quorate") is False or event.node not in cluster:
        return
    elif node in event.data.get("added", ()):
        holders.add(event.node)
    elif node in event.data.get("removed", ()):
        holders.discard(event.node)


def _since(history: History, node: str, out: int, after: int) -> int:
    """Return what first hit the node after ``after``, of what led to its absence at ``out``."""
    hits = [one.since or one.t for one in ejections(history) if one.node == node]
    hits += [e.t for e in history.of("node.down") if target_of(e) == node]
    hits += [one.span.start for one in fault_spans(history) if _hit(one, node) and out in one.span]
    return min((t for t in hits if after <= t <= out), default=out)


def _hit(fault: FaultSpan, node: str) -> bool:
    return fault.hit and node in fault.effect.silenced
