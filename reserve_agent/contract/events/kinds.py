"""The table of all kinds of events by their names on disk, and how a JSON object becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from reserve_agent.contract.events import (
    faults,
    guests,
    heartbeats,
    membership,
    pressure,
    run,
    switches,
    writes,
)
from reserve_agent.contract.events.base import RUN, Event, MalformedEvent, UnknownEvent

FAMILIES: Final = (heartbeats, membership, pressure, writes, faults, run, switches, guests)
"""The files of events, in the order of ``docs/history.md``."""
KINDS: Final[Mapping[str, type[Event]]] = {
    cls.kind: cls
    for family in FAMILIES
    for cls in vars(family).values()
    if isinstance(cls, type) and issubclass(cls, Event) and cls is not Event
}
"""The event of every kind, by its name on disk."""


def _form(
    cls: type[Event],
) -> tuple[type[Event], itemgetter[tuple[Any, ...]], tuple[tuple[str, str], ...]]:
    """Return how a kind is read: its class, how to get what must be there, other names of keys."""
    renamed = tuple(pair for pair in cls.shape.keys if pair[0] != pair[1])
    return cls, itemgetter("t", "kind", *cls.shape.required), renamed


_UNKNOWN: Final = _form(UnknownEvent)
_FORMS: Final = {kind: _form(cls) for kind, cls in KINDS.items()}
_new: Final = object.__new__
_set: Final = object.__setattr__  # that of an event refuses


NO_EVENT: Final = "expected an event with t and kind"
"""What is wrong with a JSON value that is no event at all."""


def from_record(record: dict[str, Any]) -> Event:
    """Return the event that a JSON object says.

    The object becomes the new event's ``__dict__``: a million events are read without a copy.

    Raises:
        MalformedEvent: there is no ``kind``, no integer ``t``, or a field of the kind is missing.
    """
    try:
        cls, needed, renamed = _FORMS.get(record["kind"], _UNKNOWN)
        values = needed(record)
    except (KeyError, TypeError, IndexError):
        raise _malformed(record) from None
    if type(values[0]) is not int or type(values[1]) is not str:
        raise MalformedEvent(NO_EVENT)
    if type(record.setdefault("node", RUN)) is not str:
        raise MalformedEvent("node: expected a string")
    if renamed:
        for name, key in renamed:
            if key in record:
                record[name] = record.pop(key)
    event = _new(cls)
    _set(event, "__dict__", record)
    return event


def _malformed(record: object) -> MalformedEvent:
    """Return what is wrong with a JSON value that lacks a field, or is no object at all."""
    if isinstance(record, dict):
        kind, t = record.get("kind"), record.get("t")
        if isinstance(kind, str) and isinstance(t, int) and kind in KINDS:
            missing = ", ".join(sorted(KINDS[kind].shape.required - record.keys()))
            return MalformedEvent(f"{kind}: {missing} missing")
    return MalformedEvent(NO_EVENT)
