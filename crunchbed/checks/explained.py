"""Whether every ejection of a node that was alive and in reach has a cause that the run knows."""

from __future__ import annotations

from typing import Final

from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.membership import Ejection, ejections
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.membership import MembershipSuspected

_NO_CAUSES: Final = ("unknown", "testbed")
_BEFORE: Final = 2
"""Deadlines before a suspicion from which on a miss may have led to it."""


def unexplained(history: History, scenario: Scenario) -> list[str]:
    """Return a line for each ejection for which no missed heartbeat has a known cause.

    A node that was down, or that faults kept from those who fenced it, needs no other cause.
    """
    found = []
    for one in ejections(history):
        if one.false and not _caused(history, scenario, one):
            at = seconds(one.t - history.span.start)
            found.append(f"unexplained: {one.node} was ejected for no known cause (at {at:.3f} s)")
    return found


def _caused(history: History, scenario: Scenario, ejection: Ejection) -> bool:
    since = _suspected_since(history, ejection) - _BEFORE * scenario.deadline_ns
    return any(
        miss.peer == ejection.node and since <= miss.t <= ejection.t and cause not in _NO_CAUSES
        for miss, cause in cause_of_each(history, scenario.heartbeat.interval)
    )


def _suspected_since(history: History, ejection: Ejection) -> int:
    """Return when the first observer began the suspicion that it had last."""
    latest = {
        event.node: event.t
        for event in history.of(MembershipSuspected)
        if event.peer == ejection.node and event.t <= ejection.t
    }
    return min(latest.values(), default=ejection.t)
