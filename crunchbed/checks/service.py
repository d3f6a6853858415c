"""Which node served the block device when: two at once, and how long a fail-over took."""

from __future__ import annotations

from bisect import bisect_left
from itertools import combinations, pairwise
from typing import NamedTuple

from crunchbed.checks.lives import target_of
from crunchbed.history.history import History, Interval
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.writes import ServiceStarted, ServiceStopped, WriteAcknowledged


class Serving(NamedTuple):
    """One node serving, from its target's first accepted connection to that target's end."""

    node: str
    when: Interval


class Failover(NamedTuple):
    """A move of the service to another node.

    Attributes:
        node: Which node took over.
        t: When the node began to serve, nanoseconds.
        length_ns: From the last acknowledged write before to the first after; to the end of the
            measurement where no write was acknowledged after.
    """

    node: str
    t: int
    length_ns: int


def servings(history: History) -> list[Serving]:
    """Return when which node served, by the beginning.

    A node serves until it really went down, whatever a fence has said before.
    """
    found = []
    for start in history.of(ServiceStarted):
        node = target_of(start)
        found.append(Serving(node, Interval(start.t, _end(history, node, start.t))))
    return sorted(found, key=lambda one: one.when.start)


def _end(history: History, node: str, since: int) -> int:
    events: list[ServiceStopped | NodeDown | ServiceStarted]
    events = history.together(ServiceStopped, NodeDown, ServiceStarted)
    ends = (event.t for event in events if target_of(event) == node and event.t > since)
    return next(ends, history.span.end + 1)


def double_writers(history: History) -> list[str]:
    """Return a reason for every two nodes that served at one time."""
    longest: dict[tuple[str, str], int] = {}
    for one, other in combinations(servings(history), 2):
        both = one.when.clip(other.when)
        if both is not None:
            pair = (min(one.node, other.node), max(one.node, other.node))
            longest[pair] = longest.get(pair, 0) + both.length
    return [
        f"double writer: {a} and {b} both served for {seconds(length):.3f} s"
        for (a, b), length in longest.items()
    ]


def failovers(history: History) -> list[Failover]:
    """Return every start that follows another node's start, in the order of time."""
    starts = history.of(ServiceStarted)
    acks = [event.t for event in history.of(WriteAcknowledged)] if len(starts) > 1 else []
    return [
        Failover(target_of(start), start.t, _length(acks, start.t, history.measured.end))
        for before, start in pairwise(starts)
        if target_of(before) != target_of(start)
    ]


def _length(acks: list[int], start: int, end: int) -> int:
    index = bisect_left(acks, start)
    before = acks[index - 1] if index else start
    after = acks[index] if index < len(acks) else end
    return max(after - before, 0)
