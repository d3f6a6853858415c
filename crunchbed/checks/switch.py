"""What the switches and their controller did: packets by class, what they shed, and how soon.

Without a controller there is nothing to tell, and every figure is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from crunchbed.checks.pressure import episodes
from crunchbed.checks.writes import percentile_seconds
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events import Event


class Shedding(NamedTuple):
    """One node's part.

    Attributes:
        reactions: From each beginning of pressure to the rules in force, nanoseconds.
        in_time: Pressure episodes in which they were in force at some time, and
        too_late: those that had ended before.
    """

    reactions: tuple[int, ...]
    in_time: int
    too_late: int


def has_controller(history: History) -> bool:
    """Whether an OpenFlow controller was there."""
    return bool(history.of("controller.ready"))


def shedding(history: History, node: str) -> Shedding:
    """What was shed for one node."""
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
    """The figures of these nodes together, by name."""
    reactions = sorted(ns for one in of_nodes for ns in one.reactions)
    return {
        "shed_episodes": sum(one.in_time for one in of_nodes),
        "shed_too_late": sum(one.too_late for one in of_nodes),
        "reaction_p50_seconds": percentile_seconds(reactions, 0.50),
        "reaction_p99_seconds": percentile_seconds(reactions, 0.99),
    }


def drops(history: History, node: str) -> int:
    """Packets to ``node`` that the switches dropped to shed them."""
    return sum(_rows(history, node, "dropped").values())


def packets(history: History, node: str) -> dict[str, int]:
    """Packets to ``node`` by class that reached the switch in front of it, shed ones included."""
    return dict(sorted(_rows(history, node, "table").items()))


def added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the sum of several nodes' counts."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def _applied(history: History, node: str) -> list[Event]:
    """In the order in which they came into force."""
    about = [e for e in history.of("shed.applied") if e.data.get("target") == node]
    return sorted(about, key=lambda event: int(event.data["in_force_at"]))


def _in_force(applied: Iterable[Event], end: int) -> list[Interval]:
    found: list[Interval] = []
    since: int | None = None
    for event in applied:
        at = int(event.data["in_force_at"])
        if event.data["on"]:
            since = at if since is None else since
        elif since is not None:
            found.append(Interval(since, at))
            since = None
    return found if since is None else [*found, Interval(since, end)]


def _reactions(applied: Iterable[Event]) -> Iterable[int]:
    """An episode that began while the rules of the one before were in force needed no reaction."""
    on = False
    for event in applied:
        if event.data["on"] and not on:
            yield int(event.data["in_force_at"]) - int(event.data["pressure_at"])
        on = bool(event.data["on"])


def _rows(history: History, node: str, table: str) -> Counter[str]:
    """Packets by class: the last count without what was counted before the control phase."""
    counts = history.of("switch.packets")
    if not counts:
        return Counter()
    control = history.phase("control")
    start = 0 if control is None else control.start
    if counts[-1].t < start:
        return Counter()
    found = _by_class(counts[-1], node, table)
    if before := [event for event in counts if event.t < start]:
        found.subtract(_by_class(before[-1], node, table))
    return found


def _by_class(event: Event, node: str, table: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, cls, count, *_bytes in event.data[table]:
        if name == node:
            found[cls] += count
    return found
