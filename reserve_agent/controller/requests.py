"""What a controller asks of a switch, and what the switch answers, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from reserve_agent.controller.rules.state import Flow, FlowKey, Group, HeldFlow, Meter


@dataclass(frozen=True)
class PutFlow:
    """Make a flow, or replace the flow with the same key, whose counters are kept."""

    flow: Flow
    epoch: int


@dataclass(frozen=True)
class RemoveFlow:
    """Remove one flow."""

    key: FlowKey


@dataclass(frozen=True)
class RemoveCookie:
    """Remove all flows of all tables whose cookie is ``value`` where ``mask`` has a one."""

    value: int
    mask: int


@dataclass(frozen=True)
class Put:
    """Make a group or a meter; ``new`` is False to change one that is there."""

    number: int
    what: Group | Meter
    new: bool


@dataclass(frozen=True)
class Remove:
    """Remove the group or the meter with a number."""

    number: int
    kind: type[Group] | type[Meter]


@dataclass(frozen=True)
class Barrier:
    """Have the switch answer when all requests before this one are in force."""

    ticket: int


Table = Literal["flows", "groups", "meters", "dropped"]
"""What a switch can be asked for; ``dropped`` is what its meters have dropped."""


@dataclass(frozen=True)
class Ask:
    """Have the switch tell all of a table."""

    table: Table
    ticket: int


Request = PutFlow | RemoveFlow | RemoveCookie | Put | Remove | Barrier | Ask


@dataclass
class Reply:
    """The answer to one ``Ask``; another thread brings it.

    Attributes:
        content: What the switch says; counts once ``arrived`` is True.
        arrived: Whether the answer is there.
    """

    content: Any = None
    arrived: bool = False

    def arrive(self, content: Any) -> None:
        """The answer is there."""
        self.content = content
        self.arrived = True


@dataclass(frozen=True)
class Held:
    """All that a switch holds.

    Attributes:
        flows: Its flows with their counters.
        groups, meters: By number; None for a group or meter that is not ours.
    """

    flows: tuple[HeldFlow, ...] = ()
    groups: dict[int, Group | None] = field(default_factory=dict)
    meters: dict[int, Meter | None] = field(default_factory=dict)
