"""A run's recorded history: JSON lines in, events by time, kind and node out.

The kinds of events are in ``reserve_agent/contract/events``. The history is the only truth of a
run: every figure is computed from it and from nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, Self, TypeVar, overload

import orjson

from reserve_agent.contract.events import Event, MalformedEvent, PhaseBegan, from_record
from reserve_agent.errors import BadInput

PHASES: Final = ("control", "inject", "recovery", "collect")
"""The phases of a complete run, in order; ``start`` comes before them."""

_P = ParamSpec("_P")
_R = TypeVar("_R")
_E = TypeVar("_E", bound=Event)
_NOTHING: Final[tuple[Any, ...]] = ()
_TIME: Final = attrgetter("t")


class Interval(NamedTuple):
    """From ``start`` up to, not including, ``end``; nanoseconds of CLOCK_MONOTONIC."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Nanoseconds."""
        return self.end - self.start

    def __contains__(self, t: object) -> bool:
        return isinstance(t, int) and self.start <= t < self.end

    def clip(self, other: Interval) -> Interval | None:
        """Return what the two have in common, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None


class History:
    """Events of one run, sorted by time, with an index by kind and node."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._by_kind: dict[str, list[Event]] = {}
        for event in events:
            found = self._by_kind.get(event.kind)
            if found is None:
                self._by_kind[event.kind] = found = []
            found.append(event)
        self._by_node: dict[str, dict[str, list[Event]]] = {}
        self.memo: dict[tuple[object, ...], Any] = {}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; see ``read``."""
        return cls(read(path))

    @overload
    def of(self, kind: type[_E], node: str | None = None) -> Sequence[_E]: ...
    @overload
    def of(self, kind: str, node: str | None = None) -> Sequence[Any]: ...
    def of(self, kind: type[Event] | str, node: str | None = None) -> Sequence[Any]:
        """Return the events of one kind, of one node where it is given, by time."""
        if not isinstance(kind, str):
            kind = kind.kind
        if node is None:
            return self._by_kind.get(kind, _NOTHING)
        if kind not in self._by_node:
            by_node: dict[str, list[Event]] = {}
            for event in self._by_kind.get(kind, _NOTHING):
                by_node.setdefault(event.node, []).append(event)
            self._by_node[kind] = by_node
        return self._by_node[kind].get(node, _NOTHING)

    def during(self, kind: type[_E], span: Interval, node: str | None = None) -> Sequence[_E]:
        """Return those of ``of(kind, node)`` that happened in ``span``."""
        events = self.of(kind, node)
        first = bisect_left(events, span.start, key=_TIME)
        return events[first : bisect_left(events, span.end, key=_TIME)]

    @property
    def span(self) -> Interval:
        """From the first event to the last."""
        if not self.events:
            return Interval(0, 0)
        return Interval(self.events[0].t, self.events[-1].t)

    @property
    def measured(self) -> Interval:
        """From the first event to the start of collecting; to the last event without one."""
        collect = self.phase("collect")
        return Interval(self.span.start, collect.start) if collect else self.span

    def phase(self, name: str) -> Interval | None:
        """Return when the phase was, up to the next one or to the last event; None if never."""
        marks = self.of(PhaseBegan)
        for index, mark in enumerate(marks):
            if mark.name == name:
                end = marks[index + 1].t if index + 1 < len(marks) else self.span.end + 1
                return Interval(mark.t, end)
        return None

    def missing_phases(self) -> list[str]:
        """Return the phases that a complete run has and this one never reached."""
        return [name for name in PHASES if self.phase(name) is None]


def remembered(
    function: Callable[Concatenate[History, _P], _R],
) -> Callable[Concatenate[History, _P], _R]:
    """Compute something of a history once for the same arguments, however many ask.

    What it returns is everybody's: nobody may change it.
    """

    @functools.wraps(function)
    def ask(history: History, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        key = (function, args, *kwargs.items())
        if key not in history.memo:
            history.memo[key] = function(history, *args, **kwargs)
        found: _R = history.memo[key]
        return found

    return ask


def read(path: Path) -> list[Event]:
    """Return the events of a file of JSON lines, sorted by time.

    A last line without its newline is a writer killed in the middle of it, and is left out.

    Raises:
        BadInput: the file cannot be read, or another line is no event; says which.
    """
    with no_collector():
        events = list(_events(path))
        events.sort(key=_TIME)
    return events


def merge(paths: Iterable[Path], out: Path) -> None:
    """Write the events of several files into one, sorted by time; ``out`` appears whole or not.

    Raises:
        BadInput: see ``read``.
    """
    with no_collector():
        records = [record for path in paths for record in _records(path)]
        records.sort(key=itemgetter("t"))
    partial = out.with_name(f"{out.name}.partial")
    with partial.open("wb", buffering=1 << 20) as file:
        for record in records:
            file.write(orjson.dumps(record))
            file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(out)


def _events(path: Path) -> Iterator[Event]:
    for number, record in enumerate(_records(path), 1):
        try:
            yield from_record(record)
        except MalformedEvent as error:
            raise BadInput(f"{path}:{number}: {error}") from None


def _records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    lines = content.split(b"\n")
    cut = lines.pop()
    for number, line in enumerate([*lines, cut] if _is_event(cut) else lines, 1):
        try:
            record = orjson.loads(line)
            if type(record["t"]) is int and type(record["kind"]) is str:
                yield record
                continue
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
            pass
        raise BadInput(f"{path}:{number}: expected an event with t and kind, got {line[:60]!r}")


def _is_event(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cycle collector off a million new objects that hold no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
