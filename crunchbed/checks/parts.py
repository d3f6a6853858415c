"""Whether every event that was written is there: by the writers' numbers and the parts' sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.base import RUN, Event
from reserve_agent.contract.events.run import PartClosed

_CONTROLLER = "controller"
_MOST_MISSING = 1_000_000
"""More than these are not named one by one: a damaged sum may say any number."""


def damage(history: History, scenario: Scenario) -> list[str]:
    """Return what is missing from, or too much in, each part of a numbered history."""
    parts: dict[str, list[Event]] = {}
    for event in history.events:
        name = RUN if event.id.startswith(f"{RUN}:") else event.node
        part = parts.get(name)
        if part is None:
            parts[name] = part = []
        part.append(event)
    expected = [RUN, *scenario.node_names]
    if scenario.cluster.controller != "none":
        expected.append(_CONTROLLER)
    names = dict.fromkeys([*expected, *parts])
    return [
        f"the history of {name} is not whole: {reason}"
        for name in names
        for reason in _damage(parts.get(name, ()))
    ]


def _damage(events: Sequence[Event]) -> Iterator[str]:
    closings = [event for event in events if isinstance(event, PartClosed)]
    if len(closings) != 1:
        yield "it was not closed" if not closings else "it was closed more than once"
        return
    (closed,) = closings
    told = sum(closed.writers.values())
    if told > len(events) + _MOST_MISSING:
        yield f"{told - len(events)} events are missing"
        return
    ids = {event.id for event in events}
    keeper = closed.id.partition(":")[0]
    wanted = {f"{writer}:{n}" for writer, count in closed.writers.items() for n in range(count)}
    wanted.add(f"{keeper}:{closed.writers.get(keeper, 0)}")
    if ids != wanted:
        yield from _differences(ids, wanted)
    if len(events) != len(ids):
        yield f"{len(events) - len(ids)} events are there more than once"
    kinds = Counter([event.__dict__["kind"] for event in events])
    kinds[closed.kind] -= 1
    yield from _other_kinds(+kinds, closed.kinds)


def _differences(ids: set[str], wanted: set[str]) -> Iterator[str]:
    for verb, others in (("are missing", wanted - ids), ("are too many", ids - wanted)):
        counts = Counter(one.partition(":")[0] for one in others)
        for writer, count in sorted(counts.items()):
            yield f"{count} events of writer {writer or '(none)'} {verb}"


def _other_kinds(found: Mapping[str, int], closed: Mapping[str, int]) -> Iterator[str]:
    for kind in sorted(found.keys() | closed.keys()):
        if found.get(kind, 0) != closed.get(kind, 0):
            yield f"{closed.get(kind, 0)} {kind} were counted, {found.get(kind, 0)} are there"
