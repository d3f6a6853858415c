"""Members that left and came back: how often, and how long it took from the fault on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from crunchbed.checks.faults import FaultSpan, fault_spans
from crunchbed.checks.lives import target_of
from crunchbed.checks.membership import ejections
from crunchbed.history.history import History, Interval, remembered
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.membership import ViewInstalled


class Absence(NamedTuple):
    """A node out of the views of a majority; nanoseconds.

    Attributes:
        since: when the node was hit by a fault, went down or was ejected, whichever was first.
        back: when a majority held the node again; None: never.
    """

    since: int
    back: int | None


def absences(history: History, node: str, cluster: Sequence[str]) -> list[Absence]:
    """Return every absence of ``node``, by time, from the control phase to the collecting.

    A majority is more than half of ``cluster``. Nobody holds a node that went down until a view
    adds its next boot; a node that was cut off is held until a view lacks it.
    """
    changes = _changes(history).get(node)
    if changes is None or not any(isinstance(e, NodeDown) or node in e.removed for e in changes):
        return []  # also where another node's first view since its boot adds this one
    majority = len(cluster) // 2 + 1
    holders, members = set(cluster), frozenset(cluster)
    found: list[Absence] = []
    out = False
    for event in changes:
        _hold(holders, event, node, members)
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
    """Return the longest absence; None without one.

    An absence without an end lasts up to the end of the measurement.
    """
    end = history.measured.end
    return max((((one.back or end) - one.since) / 1e9 for one in found), default=None)


@remembered
def _changes(history: History) -> dict[str, list[NodeDown | ViewInstalled]]:
    """Return by node when it went down and which views added or removed it, by time."""
    control, measured = history.phase("control"), history.measured
    start = measured.start if control is None else control.start
    span = Interval(start, measured.end)
    events: list[NodeDown | ViewInstalled] = history.together(ViewInstalled, NodeDown)
    found: dict[str, list[NodeDown | ViewInstalled]] = {}
    for event in events:
        if event.t in span:
            if isinstance(event, NodeDown):
                about: Iterable[str] = [target_of(event)]
            else:
                about = dict.fromkeys([*event.added, *event.removed])
            for node in about:
                found.setdefault(node, []).append(event)
    return found


def _hold(
    holders: set[str], event: NodeDown | ViewInstalled, node: str, cluster: Collection[str]
) -> None:
    """Bring the set of members whose view holds the node up to date."""
    if isinstance(event, NodeDown):
        holders.clear()
    elif not event.quorate or event.node not in cluster:
        return
    elif node in event.added:
        holders.add(event.node)
    elif node in event.removed:
        holders.discard(event.node)


def _since(history: History, node: str, out: int, after: int) -> int:
    """Return when the node was first hit, between ``after`` and its absence at ``out``."""
    hits = [one.since or one.t for one in ejections(history) if one.node == node]
    hits += [e.t for e in history.of(NodeDown) if target_of(e) == node]
    hits += [one.span.start for one in fault_spans(history) if _hit(one, node) and out in one.span]
    return min((t for t in hits if after <= t <= out), default=out)


def _hit(fault: FaultSpan, node: str) -> bool:
    return fault.hit and node in fault.effect.silenced
