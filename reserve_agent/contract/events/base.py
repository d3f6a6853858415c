"""The root of all events, and how an event becomes a JSON object and back.

A JSON object has ``t``, ``node``, ``kind`` and the fields of its kind. A field that is None is left
out. A field whose name is a Python keyword has an underscore behind it here, and none on disk.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
from typing import Any, ClassVar, Final, NamedTuple, Self, dataclass_transform

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


class Shape(NamedTuple):
    """What the fields of a kind are.

    Attributes:
        keys: Name and key on disk of every field of its own.
        needed: Names of the fields without a default.
        allowed: Names of all fields.
    """

    keys: tuple[tuple[str, str], ...]
    needed: frozenset[str]
    allowed: frozenset[str]

    @property
    def required(self) -> frozenset[str]:
        """Keys that a JSON object must have."""
        return frozenset(key for name, key in self.keys if name in self.needed)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class _Fields:
    """Makes every class below a frozen dataclass with keyword arguments.

    ``dataclass`` would compile six methods for each class, which takes half a millisecond a class
    at each start of a daemon. The methods here serve all classes instead.
    """

    kind: ClassVar[str]
    shape: ClassVar[Shape]

    def __init_subclass__(cls, *, kind: str = "") -> None:
        dataclass(kw_only=True, init=False, repr=False, eq=False)(cls)
        every = fields(cls)  # type: ignore[arg-type]
        keys = ((one.name, key_of(one.name)) for one in every if one.name not in COMMON)
        needed = (one.name for one in every if one.default is MISSING)
        cls.kind = kind
        cls.shape = Shape(tuple(keys), frozenset(needed), frozenset(one.name for one in every))

    def __init__(self, **values: Any) -> None:
        needed, allowed = self.shape.needed, self.shape.allowed
        if not needed <= values.keys() <= allowed:
            wrong = sorted((needed - values.keys()) | (values.keys() - allowed))
            raise TypeError(f"{type(self).__name__}: missing or unknown: {', '.join(wrong)}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def _values(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values().items())
        return f"{type(self).__name__}({values})"


class Event(_Fields):
    """Something that happened.

    Attributes:
        t: When, nanoseconds of CLOCK_MONOTONIC.
        node: Logical name of the node that it happened on; ``run``, ``storage`` or ``controller``
            where it was none.
        id: Who wrote the event, and the number that the writer gave it (``made_id``); empty in
            histories of format 1.
    """

    t: int = NOW
    node: str = HERE
    id: str = ""

    def record(self) -> dict[str, Any]:
        """Return the JSON object of this event; time and node only where they are known."""
        record: dict[str, Any] = {"kind": self.kind}
        if self.t != NOW:
            record["t"] = self.t
        if self.node != HERE:
            record["node"] = self.node
        if self.id:
            record["id"] = self.id
        for name, key in self.shape.keys:
            value = getattr(self, name)
            if value is not None:
                record[key] = value
        return record

    def stamped(self, t: int, node: str, id_: str = "") -> Self:
        """Return this event with time, node and id where the event leaves them open."""
        event = object.__new__(type(self))
        values = event.__dict__
        values.update(self.__dict__)
        if self.t == NOW:
            values["t"] = t
        if self.node == HERE:
            values["node"] = node
        if not self.id:
            values["id"] = id_
        return event


class UnknownEvent(Event, kind="unknown"):
    """An event of a kind that this version does not know, such as one of a newer version."""


def key_of(name: str) -> str:
    """Return the key on disk of a field."""
    return name.rstrip("_")
