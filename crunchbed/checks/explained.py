"""Whether every ejection of a node that was alive and in reach has a cause that the run knows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.faults import fault_spans
from crunchbed.checks.lives import times_of
from crunchbed.checks.membership import Ejection, ejections
from crunchbed.history.history import History, Interval
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.membership import MembershipSuspected, ViewInstalled
from reserve_agent.contract.events.writes import ServiceConfirming

_NO_CAUSES: Final = ("unknown", "testbed")
_BEFORE: Final = 2
"""Deadlines before a suspicion from which on a miss may have led to it."""


def unexplained(history: History, scenario: Scenario) -> list[str]:
    """Return a line for each ejection that neither a missed heartbeat nor a fault explains.

    A node that was down, or that faults kept from those who fenced it, needs no other cause. Else
    a heartbeat of it was missed for a cause that is known; or its packets, or those of a node that
    suspected it, came late by a fault; or such a node stood still by one; or it is of a pair, had
    been down, and its standby had the fence service end the life before.
    """
    found = []
    for one in ejections(history):
        if one.false and not _caused(history, scenario, one):
            at = seconds(one.t - history.span.start)
            found.append(f"unexplained: {one.node} was ejected for no known cause (at {at:.3f} s)")
    return found


def _caused(history: History, scenario: Scenario, ejection: Ejection) -> bool:
    if _replaced(history, ejection):
        return True
    suspected = _suspected(history, ejection)
    since = min(suspected.values(), default=ejection.t) - _BEFORE * scenario.deadline_ns
    span = Interval(since, ejection.t + 1)
    return _late_by_fault(history, ejection.node, suspected, span) or any(
        miss.peer == ejection.node and miss.t in span and cause not in _NO_CAUSES
        for miss, cause in cause_of_each(history, scenario.heartbeat.interval)
    )


def _replaced(history: History, ejection: Ejection) -> bool:
    """Whether the node lost its power before its standby first asked for this fence.

    A standby asks again and again, and names a view since which both were members: what counts is
    a loss of power after that view and before the first question.
    """
    asked = [
        one
        for one in history.of(ServiceConfirming)
        if one.target == ejection.node and one.t <= ejection.t
    ]
    if not asked:
        return False
    last = asked[-1]
    first = next(one for one in asked if (one.node, one.view) == (last.node, last.view))
    views = history.of(ViewInstalled, first.node)
    since = min((view.t for view in views if view.number == first.view), default=first.t)
    downs = times_of(history, NodeDown).get(ejection.node, ())
    return any(since <= down <= first.t for down in downs)


def _suspected(history: History, ejection: Ejection) -> dict[str, int]:
    """Return since when each node had the suspicion that it had last."""
    return {
        event.node: event.t
        for event in history.of(MembershipSuspected)
        if event.peer == ejection.node and event.t <= ejection.t
    }


def _late_by_fault(history: History, node: str, by: Collection[str], span: Interval) -> bool:
    return any(
        (one.kind == "delay" and not {node, *by}.isdisjoint(one.targets))
        or any(one.stalls(name) for name in by)
        for one in fault_spans(history)
        if one.hit and one.span.clip(span)
    )
