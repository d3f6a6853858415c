"""Who was fenced without a majority that wanted it, and who was removed without a fence.

The rules are those of ``nodes/membership/membership.py``. corosync has others: histories of it have
no fence request of a member, and no view here says what its ring had agreed on.
"""

from __future__ import annotations

from collections.abc import Iterator

from crunchbed.checks.lives import times_of
from crunchbed.history.history import History, remembered
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.membership import (
    FenceConfirmed,
    FenceRequested,
    MembershipCleared,
    MembershipSuspected,
    ViewInstalled,
)
from reserve_agent.contract.events.run import EventsLost
from reserve_agent.contract.events.writes import ServiceStarted


def broken(history: History) -> list[str]:
    """Return a line for each decision of the membership that its rules do not allow.

    Where events of daemons were lost, nobody knows.
    """
    return [] if history.of(EventsLost) else [*minority_fences(history), *unfenced(history)]


def minority_fences(history: History) -> list[str]:
    """Return a line for each fence that no majority of the asking node's view can have wanted.

    A member of that view counts where it held the view and suspected the target at some time in
    it: what it said may be on its way for long. Views that name no members are passed over.
    """
    found = []
    for request in history.of(FenceRequested):
        members = _members(history, request.node, request.view, request.t)
        wanted = [name for name in members if _suspected(history, name, request)]
        if members and len(wanted) <= len(members) // 2:
            found.append(
                f"minority: {request.node} had {request.target} fenced for view {request.view} "
                f"with {len(wanted)} of {len(members)} votes ({_at(history, request.t)})"
            )
    return found


def _members(history: History, node: str, number: int, t: int) -> tuple[str, ...]:
    views = [view for view in history.of(ViewInstalled, node) if view.t <= t]
    names = [view.names for view in views if view.number == number]
    return tuple(names[-1]) if names else ()


def _suspected(history: History, name: str, request: FenceRequested) -> bool:
    """Return whether a node has suspected the target while it held the view in question."""
    held = [
        view.t
        for view in history.of(ViewInstalled, name)
        if view.number == request.view and view.t <= request.t
    ]
    if not held:
        return False
    told: list[MembershipSuspected | MembershipCleared]
    told = history.together(MembershipSuspected, MembershipCleared, node=name)
    changes = [one for one in told if one.peer == request.target and one.t <= request.t]
    before = [event for event in changes if event.t < held[0]]
    within = changes[len(before) :]
    return any(isinstance(event, MembershipSuspected) for event in [*before[-1:], *within])


def unfenced(history: History) -> list[str]:
    """Return a line for each member that was replaced before its fence was confirmed.

    That is a view without the member, or a takeover of its service.
    """
    return [*_removals(history), *_takeovers(history)]


def _removals(history: History) -> Iterator[str]:
    views = [view for view in history.of(ViewInstalled) if view.quorate]
    # Who makes a view has it first. A node that boots again adds all members at once.
    made: dict[int, ViewInstalled] = {}
    for view in views:
        made.setdefault(view.number, view)
    told: set[tuple[int, str]] = set()
    for view in views:
        for name in view.removed:
            if name in view.added or (view.number, name) in told:
                continue
            told.add((view.number, name))
            admitted = [
                one.t for number, one in made.items() if number < view.number and name in one.added
            ]
            if not _confirmed(history, name, min(_latest(admitted), view.t), view.t):
                yield (
                    f"unfenced: view {view.number} of {view.node} lacks {name}, whose fence was "
                    f"not confirmed ({_at(history, view.t)})"
                )


def _latest(times: list[int]) -> int:
    return max(times, default=0)


def _takeovers(history: History) -> Iterator[str]:
    starts = history.of(ServiceStarted)
    for start in starts:
        before = start.taken_from
        if before is None:
            continue
        since = _latest([one.t for one in starts if one.target == before and one.t < start.t])
        down = [t for t in times_of(history, NodeDown).get(before, ()) if since <= t <= start.t]
        if not down and not _confirmed(history, before, since, start.t):
            yield (
                f"unfenced: {start.target} took the service over from {before}, whose fence was "
                f"not confirmed ({_at(history, start.t)})"
            )


def _confirmed(history: History, name: str, since: int, t: int) -> bool:
    return any(since <= one <= t for one in _confirmations(history).get(name, ()))


@remembered
def _confirmations(history: History) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in history.of(FenceConfirmed):
        found.setdefault(event.target or event.node, []).append(event.t)
    return found


def _at(history: History, t: int) -> str:
    return f"at {seconds(t - history.span.start):.3f} s"
