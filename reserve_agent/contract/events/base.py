"""The root of all events, and how an event becomes a JSON object and back.

A JSON object has ``t``, ``node``, ``kind`` and the fields of its kind. A field that is None is left
out. A field whose name is a Python keyword has an underscore behind it here, and none on disk.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, ClassVar, Final, NamedTuple, Self

from reserve_agent.errors import CrunchbedError

NOW: Final = -1
"""A time that the writer leaves open: it is set where the event is put on file."""
HERE: Final = ""
"""A node that the writer leaves open: it is set where the event is put on file."""
RUN: Final = "run"
"""The node of an event that belongs to no node."""


COMMON: Final = ("t", "node", "id")
"""Fields that every event has."""
KEEPER: Final = "a"
"""The writer of what a node's agent, or the controller, adds to its own part of the history."""


def made_id(writer: str, life: int, number: int) -> str:
    """Return the id of an event: ``h:12``, or ``h1:12`` of the same daemon in the node's next life.

    Args:
        writer: Letters that stand for the writer within its part of the history.
        life: How often the writer was started before with its count at 0.
        number: How many events the writer had written before, in this life.
    """
    return f"{writer}{life or ''}:{number}"


class MalformedEvent(CrunchbedError):
    """A JSON object is no event of its kind."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        t: When, nanoseconds of CLOCK_MONOTONIC.
        node: Logical name of the node that it happened on; ``run``, ``storage`` or ``controller``
            where it was none.
        id: Who wrote the event, and the number that the writer gave it (``made_id``); empty in
            histories of format 1.
    """

    kind: ClassVar[str]
    t: int = NOW
    node: str = HERE
    id: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """Every field by its name; only for code that is not typed yet."""
        return self.__dict__

    def record(self) -> dict[str, Any]:
        """Return the JSON object of this event; time and node only where they are known."""
        record: dict[str, Any] = {"kind": self.kind}
        if self.t != NOW:
            record["t"] = self.t
        if self.node != HERE:
            record["node"] = self.node
        if self.id:
            record["id"] = self.id
        for name, key in shape_of(type(self)).keys:
            value = getattr(self, name)
            if value is not None:
                record[key] = value
        return record

    def stamped(self, t: int, node: str, id_: str = "") -> Self:
        """Return this event with time, node and id where they were left open."""
        return replace(
            self,
            t=t if self.t == NOW else self.t,
            node=node if self.node == HERE else self.node,
            id=self.id or id_,
        )


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """An event of a kind that this version does not know, such as one of a newer version."""

    kind: ClassVar[str] = "unknown"


class Shape(NamedTuple):
    """How the fields of a kind stand on disk.

    Attributes:
        keys: Name and key of every field.
        required: Keys that a JSON object must have.
        renamed: Name and key of the fields whose key is another than the name.
    """

    keys: tuple[tuple[str, str], ...]
    required: frozenset[str]
    renamed: tuple[tuple[str, str], ...]


_SHAPES: dict[type[Event], Shape] = {}


def shape_of(cls: type[Event]) -> Shape:
    """Return how the fields of a kind stand on disk."""
    if cls not in _SHAPES:
        _SHAPES[cls] = _shape_of(cls)
    return _SHAPES[cls]


def _shape_of(cls: type[Event]) -> Shape:
    own = [field for field in fields(cls) if field.name not in COMMON]
    keys = tuple((field.name, key_of(field.name)) for field in own)
    required = frozenset(key_of(field.name) for field in own if field.default is MISSING)
    return Shape(keys, required, tuple(pair for pair in keys if pair[0] != pair[1]))


def key_of(name: str) -> str:
    """Return the key on disk of a field."""
    return name.rstrip("_")
