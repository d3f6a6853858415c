"""A run's recorded history: JSON lines in, events by time, kind and node out.

The kinds of events are in ``reserve_agent/contract/events``. The history is the only truth of a
run: every figure is computed from it and from nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, Self, TypeVar

import orjson

from reserve_agent.contract.events.base import Event, MalformedEvent
from reserve_agent.contract.events.kinds import NO_EVENT, from_record
from reserve_agent.contract.events.run import PartClosed, PhaseBegan, RunInfo
from reserve_agent.errors import BadInput

PHASES: Final = ("control", "inject", "recovery", "collect")
"""The phases of a complete run, in order; ``start`` comes before them."""

_P = ParamSpec("_P")
_R = TypeVar("_R")
_E = TypeVar("_E", bound=Event)
_NOTHING: Final[tuple[Any, ...]] = ()
_TIME: Final = attrgetter("t")
_KIND: Final = attrgetter("kind")
_NODE: Final = attrgetter("node")
_ID: Final = attrgetter("id")


class Interval(NamedTuple):
    """From ``start`` up to, not including, ``end``; nanoseconds of CLOCK_MONOTONIC."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How long the interval is, nanoseconds."""
        return self.end - self.start

    def __contains__(self, t: object) -> bool:
        return isinstance(t, int) and self.start <= t < self.end

    def clip(self, other: Interval) -> Interval | None:
        """Return what the two have in common, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None


class History:
    """Events of one run, sorted by time, with an index by kind and node.

    Attributes:
        events: All of them.
        kinds: The events by kind, each by time.
        damage: Why their file is not the one that was recorded; empty where nothing says so.
        audited: What an audit of every event has found in the file as it is; None: not known.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.kinds = _grouped(events, _KIND)
        self._by_node: dict[str, dict[str, list[Any]]] = {}
        self.damage: tuple[str, ...] = ()
        self.audited: tuple[str, ...] | None = None
        self.memo: dict[tuple[object, ...], Any] = {}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the history in a file of JSON lines.

        A last line that is cut, since its writer was killed, is left out.

        Raises:
            BadInput: the file cannot be read, or another line is no event; says which.
        """
        with no_collector():
            content = content_of(path)
            history = cls(sorted(events_of(path, lines_of(content)), key=_TIME))
            history.damage = damage(content, path.with_name("run.json"), history)
            return history

    @property
    def numbered(self) -> bool:
        """Whether its format is at least 2: events have ids, and every part ends with a sum."""
        return (
            any(info.format != 1 for info in self.of(RunInfo))
            or any(map(_ID, self.events))
            or bool(self.of(PartClosed))
        )

    def of(self, kind: type[_E], node: str | None = None) -> Sequence[_E]:
        """Return the events of one kind, of one node where it is given, by time."""
        name = kind.kind
        if node is None:
            return self.kinds.get(name, _NOTHING)
        if name not in self._by_node:
            self._by_node[name] = _grouped(self.kinds.get(name, _NOTHING), _NODE)
        return self._by_node[name].get(node, _NOTHING)

    def together(self, *kinds: type[_E], node: str | None = None) -> list[_E]:
        """Return the events of several kinds, of one node where it is given, by time."""
        return sorted((event for kind in kinds for event in self.of(kind, node)), key=_TIME)

    def during(self, kind: type[_E], span: Interval, node: str | None = None) -> Sequence[_E]:
        """Return those of ``of(kind, node)`` that happened in ``span``."""
        events = self.of(kind, node)
        first = bisect_left(events, span.start, key=_TIME)
        return events[first : bisect_left(events, span.end, key=_TIME)]

    @property
    def span(self) -> Interval:
        """The time from the first event to the last."""
        if not self.events:
            return Interval(0, 0)
        return Interval(self.events[0].t, self.events[-1].t)

    @property
    def measured(self) -> Interval:
        """The time from the first event to the phase ``collect``, or else to the last event."""
        collect = self.phase("collect")
        return Interval(self.span.start, collect.start) if collect else self.span

    def phase(self, name: str) -> Interval | None:
        """Return the time of a phase, up to the next one or the last event; None without it."""
        marks = self.of(PhaseBegan)
        for index, mark in enumerate(marks):
            if mark.name == name:
                end = marks[index + 1].t if index + 1 < len(marks) else self.span.end + 1
                return Interval(mark.t, end)
        return None

    def missing_phases(self) -> list[str]:
        """Return the phases that a complete run has and this one never reached."""
        return [name for name in PHASES if self.phase(name) is None]


def _grouped(events: Sequence[Event], key: Callable[[Event], str]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for event, name in zip(events, map(key, events), strict=True):
        group = groups.get(name)
        if group is None:
            groups[name] = group = []
        group.append(event)
    return groups


def remembered(
    function: Callable[Concatenate[History, _P], _R],
) -> Callable[Concatenate[History, _P], _R]:
    """Decorate a function of a history so that it computes the same thing only once.

    All callers get the same object, which none of them may change.
    """

    @functools.wraps(function)
    def ask(history: History, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        key = (function, args, *kwargs.items())
        if key not in history.memo:
            history.memo[key] = function(history, *args, **kwargs)
        found: _R = history.memo[key]
        return found

    return ask


def content_of(path: Path) -> bytes:
    """Return what a file of JSON lines holds.

    Raises:
        BadInput: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def lines_of(content: bytes) -> list[bytes]:
    """Return the lines of a file, without a last one that was cut."""
    lines = content.split(b"\n")
    if not _is_object(lines[-1]):
        lines.pop()
    return lines


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def events_of(path: Path, lines: Sequence[bytes]) -> list[Event]:
    """Return the event of each line."""
    events: list[Event] = []
    add, loads = events.append, orjson.loads
    for line in lines:
        try:
            add(from_record(loads(line)))
        except (orjson.JSONDecodeError, MalformedEvent) as error:
            why = error if isinstance(error, MalformedEvent) else NO_EVENT
            number = len(events) + 1
            raise BadInput(f"{path}:{number}: {why}, got {line[:60]!r}") from None
    return events


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cycle collector from walking again and again over a million events."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def damage(content: bytes, run_json: Path, history: History) -> tuple[str, ...]:
    """Return why a history is not the one that ``run.json`` beside it was written for.

    Where it is, what its audit has found becomes ``history.audited``.

    A history of format 1 has nothing that could be compared.
    """
    try:
        run = orjson.loads(run_json.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        run = None
    if not isinstance(run, dict):
        return ("run.json cannot be read",) if history.numbered else ()
    merged = run.get("history")
    if not history.numbered and merged is None and "format" not in run:
        return ()
    if not isinstance(merged, dict):
        return ("run.json does not say what the history holds",)
    found = (*_other_content(content, merged), *_other_run(run, history))
    if not found and isinstance(merged.get("audit"), list):
        history.audited = tuple(merged["audit"])
    return found


def _other_content(content: bytes, merged: Mapping[str, Any]) -> Iterator[str]:
    if hashlib.sha256(content).hexdigest() != merged.get("sha256"):
        yield "the history is not as it was merged: its digest is not the one in run.json"
    parts = merged.get("parts")
    for name, part in parts.items() if isinstance(parts, dict) else ():
        if not isinstance(part, dict) or part.get("damage") is not None:
            why = part["damage"] if isinstance(part, dict) else "run.json does not describe it"
            yield f"the history of {name} is not whole: {why}"


def _other_run(run: Mapping[str, Any], history: History) -> Iterator[str]:
    for info in history.of(RunInfo):
        for key in ("run", "scenario", "seed", "backend", "switch", "format"):
            if getattr(info, key) != run.get(key):
                yield f"run.info and run.json differ in {key}"
