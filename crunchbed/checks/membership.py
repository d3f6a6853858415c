"""Ejections: which nodes were removed and fenced, and whether they were alive."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from crunchbed.checks.faults import cut_off_at, fault_spans
from crunchbed.checks.lives import target_of, times_of
from crunchbed.history.history import History, Interval, remembered
from reserve_agent.contract.events.faults import NodeDown, NodeUp
from reserve_agent.contract.events.membership import FenceConfirmed, FenceStarted, ViewInstalled

_NO_VIEW = -1
_Power = TypeVar("_Power", FenceStarted, NodeDown, NodeUp)


class Ejection(NamedTuple):
    """One removal of one node; times in nanoseconds.

    Attributes:
        node: Who was removed.
        t: When the node was fenced, or removed where no fence began.
        false: Whether the node was alive and in reach: neither down before its fence nor cut off
            by a fault.
        since: When the node went down or was cut off; None for a false ejection.
    """

    node: str
    t: int
    false: bool
    since: int | None = None


@remembered
def ejections(history: History) -> list[Ejection]:
    """Return every ejection once, however many observers report it, in the order of time.

    An ejection begins with a confirmed fence or with the first view that lacks the node, and is
    over when a view holds the node again. A view that removes and adds a node at once replaces
    one boot of the node by the next: no ejection. A view without quorum decides nothing and
    ejects nobody.
    """
    events: list[FenceConfirmed | ViewInstalled] = [
        *history.of(FenceConfirmed),
        *(view for view in history.of(ViewInstalled) if view.quorate),
    ]
    out: set[str] = set()
    seen: set[tuple[int, str]] = set()
    back: dict[str, int] = {}  # the latest view that a node came back in
    found: list[Ejection] = []
    for event in sorted(events, key=lambda event: event.t):
        removed, added = _change(event)
        number = event.number if isinstance(event, ViewInstalled) else _NO_VIEW
        fresh = [
            node
            for node in removed
            if node not in out
            and (number, node) not in seen
            # One who was deaf may take an older view, which lacks a node that is back by now.
            and (number == _NO_VIEW or number >= back.get(node, number))
        ]
        found += [_ejection(history, node, event.t) for node in fresh]
        out.update(removed)
        out.difference_update(added)
        if isinstance(event, ViewInstalled):
            seen.update((number, node) for node in removed)
            back.update((node, max(number, back.get(node, number))) for node in added)
    return found


def _change(event: FenceConfirmed | ViewInstalled) -> tuple[list[str], set[str]]:
    """Return the nodes that are removed, and those that are added."""
    if isinstance(event, FenceConfirmed):
        return [target_of(event)], set()
    added = set(event.added)
    if event.node in added:  # the first view since its boot: all members are new to it
        added = {event.node}
    return [node for node in event.removed if node not in added], added


def _ejection(history: History, node: str, noticed: int) -> Ejection:
    fence = _last_of(history, FenceStarted, node, noticed + 1)
    up = _last_of(history, NodeUp, node, noticed + 1)
    if fence is None or (up is not None and up > fence):
        fence = noticed
    down = _last_of(history, NodeDown, node, fence)
    came_back = _last_of(history, NodeUp, node, fence)
    if down is not None and (came_back is None or came_back < down):
        return Ejection(node, fence, false=False, since=down)
    by = _fenced_by(history, node, fence)
    cut = cut_off_at(fault_spans(history), node, by, fence, boot=came_back)
    return Ejection(node, fence, false=cut is None, since=cut)


def detection_delays(found: Sequence[Ejection]) -> list[int]:
    """Return the nanoseconds from each node's power-off or cut-off to its fence.

    A false ejection detected nothing and has no delay.
    """
    return [one.t - one.since for one in found if one.since is not None]


def median_seconds(nanoseconds: Sequence[int]) -> float | None:
    """Return the median; None without a value."""
    return statistics.median(nanoseconds) / 1e9 if nanoseconds else None


def _fenced_by(history: History, node: str, fence: int) -> str:
    starts = history.during(FenceStarted, Interval(fence, fence + 1))
    return next((start.by for start in starts if target_of(start) == node), "")


def _last_of(history: History, kind: type[_Power], node: str, before: int) -> int | None:
    times = times_of(history, kind).get(node, ())
    index = bisect_left(times, before)
    return times[index - 1] if index else None
