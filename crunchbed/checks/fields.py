"""Whether every field of every event has the type that its kind says, and a possible value.

Fields are looked at in columns, one kind at a time, since a history may have a million events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints, is_typeddict

from crunchbed.history.history import History
from reserve_agent.contract.events.base import Event, UnknownEvent

_MOST: Final = 1 << 63
_SCALARS: Final[Mapping[Any, frozenset[type]]] = {
    int: frozenset({int}),
    float: frozenset({int, float}),
    str: frozenset({str}),
    bool: frozenset({bool}),
}
_MOMENTS: Final = ("since", "submitted", "deadline", "pressure_at", "received_at", "in_force_at")
"""Fields that are moments at which something had happened before the event."""
_SLACK_NS: Final = 1_000_000
_HINTS: Final[dict[type[Event], tuple[tuple[str, Any], ...]]] = {}


def wrong(history: History) -> list[str]:
    """Return what is wrong with fields, one reason for each field of a kind."""
    return [
        reason
        for events in history.kinds.values()
        if not isinstance(events[0], UnknownEvent)
        for reason in _wrong_in_kind(events)
    ]


def _wrong_in_kind(events: Sequence[Event]) -> Iterator[str]:
    cls = type(events[0])
    for name, hint in _hints(cls):
        values = list(map(attrgetter(name), events))
        if (problem := _problem(hint, values)) is not None:
            yield f"{cls.kind}: {name}: {problem}"
        elif name in _MOMENTS:
            times = [event.t + _SLACK_NS for event in events]
            late = sum(v > t for v, t in zip(values, times, strict=True) if v is not None)
            if late:
                yield f"{cls.kind}: {name}: {late} are after their event"


def _hints(cls: type[Event]) -> tuple[tuple[str, Any], ...]:
    if cls not in _HINTS:
        hints = get_type_hints(cls)
        names = [one.name for one in fields(cls) if one.name != "node"]
        _HINTS[cls] = tuple((name, hints[name]) for name in names)
    return _HINTS[cls]


def _problem(hint: Any, values: Sequence[Any]) -> str | None:
    """Return what is wrong with the first values that are no ``hint``; None where all are."""
    if hint is Any or not values:
        return None
    kinds = set(map(type, values))
    if hint in _SCALARS:
        return _wrong_type(hint.__name__, kinds - _SCALARS[hint]) or _out_of_range(hint, values)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _problem_of_union(args, values, kinds)
    if is_typeddict(hint):
        return _wrong_type("object", kinds - {dict}) or _problem_of_rows(hint, values)
    if origin is Mapping:
        inner = list(chain.from_iterable(map(dict.values, values))) if kinds == {dict} else []
        return _wrong_type("object", kinds - {dict}) or _problem(args[1], inner)
    problem = _wrong_type("list", kinds - {list, tuple})
    return problem or _problem(args[0], list(chain.from_iterable(values)))


def _problem_of_union(args: Sequence[Any], values: Sequence[Any], kinds: set[type]) -> str | None:
    if NoneType in kinds and NoneType in args:
        values = [value for value in values if value is not None]
    options = [one for one in args if one is not NoneType]
    if len(options) == 1:
        return _problem(options[0], values)
    for value in values:
        problems = [_problem(option, [value]) for option in options]
        if None not in problems:
            return problems[0]
    return None


def _problem_of_rows(hint: Any, rows: Sequence[Mapping[str, Any]]) -> str | None:
    for key, of in get_type_hints(hint).items():
        if any(key not in row for row in rows):
            return f"{key} is missing"
        if (problem := _problem(of, [row[key] for row in rows])) is not None:
            return f"{key}: {problem}"
    return None


def _wrong_type(expected: str, others: Iterable[type]) -> str | None:
    found = sorted(one.__name__ for one in others)
    return f"expected {expected}, got {', '.join(found)}" if found else None


def _out_of_range(hint: type, values: Sequence[Any]) -> str | None:
    if hint is str or hint is bool:
        return None
    if min(values) < 0:
        return f"expected no negative number, got {min(values)}"
    return f"expected a number below 2^63, got {max(values)}" if max(values) >= _MOST else None
