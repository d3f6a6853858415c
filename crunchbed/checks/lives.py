"""When each node was up: the ground truth that ejections and stalls are judged by."""

from __future__ import annotations

from collections.abc import Sequence

from crunchbed.history.history import History, Interval
from reserve_agent.contract.events import Event


def target_of(event: Event) -> str:
    """Return the node that an event is about, whoever recorded it."""
    return str(event.data.get("target", event.node))


def downtimes(history: History, node: str) -> list[Interval]:
    """Return when ``node`` was down: from its fence, or its death, until it was up again.

    The start of a fence counts only where the node did go down after it.
    """
    kinds = ("fence.start", "node.down", "node.up")
    events = [e for kind in kinds for e in history.of(kind) if target_of(e) == node]
    found: list[Interval] = []
    fence: int | None = None
    down: int | None = None
    for event in sorted(events, key=lambda e: e.t):
        if event.kind == "fence.start":
            fence = event.t if fence is None else fence
        elif event.kind == "node.down" and down is None:
            down = event.t if fence is None else fence
        elif event.kind == "node.up":
            if down is not None:
                found.append(Interval(down, event.t))
            fence = down = None
    if down is not None:
        found.append(Interval(down, history.span.end + 1))
    return found


def lives(history: History, node: str) -> list[Interval]:
    """Return when ``node`` was up while the run was measured."""
    measured = history.measured
    found: list[Interval] = []
    start = measured.start
    for down in downtimes(history, node):
        if down.start > start:
            found.append(Interval(start, down.start))
        start = down.end
    return [life for one in [*found, Interval(start, measured.end)] if (life := one.clip(measured))]


def overlap(intervals: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """Return what two sorted lists of disjoint intervals have in common, sorted."""
    found: list[Interval] = []
    index = 0
    for one in intervals:
        while index < len(others) and others[index].end <= one.start:
            index += 1
        at = index
        while at < len(others) and others[at].start < one.end:
            common = one.clip(others[at])
            if common is not None:
                found.append(common)
            at += 1
    return found
