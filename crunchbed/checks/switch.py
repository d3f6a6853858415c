"""The switches and their controller: packets by class, packets that were shed, and how soon.

Without a controller every figure is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from crunchbed.checks.pressure import episodes
from crunchbed.checks.writes import percentile_seconds
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.switches import (
    ShedApplied,
    SwitchPacketsCounted,
)


class Shedding(NamedTuple):
    """What was shed for one node.

    Attributes:
        reactions: From each begin of pressure until the shedding rules were in force, nanoseconds.
        in_time: Number of pressure episodes in which the rules were in force at some time.
        too_late: Number of pressure episodes that had ended before.
    """

    reactions: tuple[int, ...]
    in_time: int
    too_late: int


def shedding(history: History, node: str) -> Shedding:
    """Return what was shed for one node."""
    applied = _applied(history, node)
    on = _in_force(applied, history.span.end + 1)
    pressed = episodes(history, node)
    in_time = sum(any(one.clip(shed) is not None for shed in on) for one in pressed)
    return Shedding(
        reactions=tuple(_reactions(applied)),
        in_time=in_time,
        too_late=len(pressed) - in_time,
    )


def figures(of_nodes: Sequence[Shedding]) -> dict[str, Any]:
    """Return the figures of several nodes together, by name."""
    reactions = sorted(ns for one in of_nodes for ns in one.reactions)
    return {
        "shed_episodes": sum(one.in_time for one in of_nodes),
        "shed_too_late": sum(one.too_late for one in of_nodes),
        "reaction_p50_seconds": percentile_seconds(reactions, 0.50),
        "reaction_p99_seconds": percentile_seconds(reactions, 0.99),
    }


def drops(history: History, *nodes: str) -> int:
    """Return the number of packets to these nodes that the switches shed."""
    return sum(_rows(history, nodes, "dropped").values())


def packets(history: History, *nodes: str) -> dict[str, int]:
    """Return the packets to these nodes at their switches by class, shed packets included."""
    return dict(sorted(_rows(history, nodes, "table").items()))


def _applied(history: History, node: str) -> list[ShedApplied]:
    """Return the changes of one node's rules in the order in which they came into force."""
    about = [event for event in history.of(ShedApplied) if event.target == node]
    return sorted(about, key=lambda event: event.in_force_at)


def _in_force(applied: Iterable[ShedApplied], end: int) -> list[Interval]:
    found: list[Interval] = []
    since: int | None = None
    for event in applied:
        if event.on:
            since = event.in_force_at if since is None else since
        elif since is not None:
            found.append(Interval(since, event.in_force_at))
            since = None
    return found if since is None else [*found, Interval(since, end)]


def _reactions(applied: Iterable[ShedApplied]) -> Iterable[int]:
    """Yield the reactions; an episode that begins while the rules are in force needs none."""
    on = False
    for event in applied:
        if event.on and not on:
            yield event.in_force_at - event.pressure_at
        on = event.on


def _rows(
    history: History, nodes: Collection[str], table: Literal["table", "dropped"]
) -> Counter[str]:
    """Return packets by class: the last count less the last count before the control phase."""
    counts = history.of(SwitchPacketsCounted)
    if not counts:
        return Counter()
    control = history.phase("control")
    start = 0 if control is None else control.start
    if counts[-1].t < start:
        return Counter()
    found = _by_class(counts[-1], nodes, table)
    if before := [event for event in counts if event.t < start]:
        found.subtract(_by_class(before[-1], nodes, table))
    return found


def _by_class(
    event: SwitchPacketsCounted, nodes: Collection[str], table: Literal["table", "dropped"]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, cls, count, *_bytes in event.table if table == "table" else event.dropped:
        if name in nodes:
            found[str(cls)] += int(count)
    return found
