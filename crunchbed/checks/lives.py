"""When each node was up: the ground truth that ejections and stalls are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from crunchbed.history.history import History, Interval, remembered
from reserve_agent.contract.events.faults import NodeDown, NodeUp
from reserve_agent.contract.events.membership import FenceStarted

_Power = TypeVar("_Power", FenceStarted, NodeDown, NodeUp)


class Targeted(Protocol):
    """An event about a node that another one may have recorded."""

    @property
    def node(self) -> str:
        """Who has recorded the event."""

    @property
    def target(self) -> str:
        """Whom the event is about; empty: ``node``."""


def target_of(event: Targeted) -> str:
    """Return the node that an event is about, whoever recorded it."""
    return event.target or event.node


@remembered
def times_of(history: History, kind: type[_Power]) -> dict[str, list[int]]:
    """Return when the events of a kind happened, by the node that they are about, each by time."""
    found: dict[str, list[int]] = {}
    for event in history.of(kind):
        found.setdefault(target_of(event), []).append(event.t)
    return found


@remembered
def _power(history: History) -> dict[str, list[FenceStarted | NodeDown | NodeUp]]:
    """Return what became of each node's power, by time."""
    events: list[FenceStarted | NodeDown | NodeUp]
    events = history.together(FenceStarted, NodeDown, NodeUp)
    found: dict[str, list[FenceStarted | NodeDown | NodeUp]] = {}
    for event in events:
        found.setdefault(target_of(event), []).append(event)
    return found


def downtimes(history: History, node: str) -> list[Interval]:
    """Return when ``node`` was down: from its fence, or its power-off, until it was up again.

    The start of a fence counts only where the node did go down after it.
    """
    found: list[Interval] = []
    fence: int | None = None
    down: int | None = None
    for event in _power(history).get(node, ()):
        match event:
            case FenceStarted():
                fence = event.t if fence is None else fence
            case NodeDown() if down is None:
                down = event.t if fence is None else fence
            case NodeUp():
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
