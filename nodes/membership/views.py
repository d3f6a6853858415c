"""Views: what the members of a cluster agree on, and what they say of it in their heartbeats."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


class Member(NamedTuple):
    """One boot of one node."""

    name: str
    incarnation: int


@dataclass(frozen=True)
class View:
    """A numbered membership.

    Attributes:
        number: 1 for the first, one more for every change; 0 is no view.
        members: in the order of their indexes.
        author: the coordinator that made it; None made the first. Two that made the same view
            made one view.
    """

    number: int
    members: tuple[Member, ...]
    author: str | None = field(default=None, compare=False)

    @cached_property
    def incarnations(self) -> dict[str, int]:
        """Incarnation of every member, by name and in order of index."""
        return dict(self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, by index."""
        return tuple(self.incarnations)

    @property
    def majority(self) -> int:
        """How many members are more than half."""
        return len(self.members) // 2 + 1

    def holds(self, member: Member) -> bool:
        """Whether this very incarnation is a member."""
        return self.incarnations.get(member.name) == member.incarnation

    def supersedes(self, other: View) -> bool:
        """Whether a holder of ``other`` changes to this view when it hears of it.

        A higher number wins. Two views of one number come from two coordinators in turn: then
        the one that removed the other's author wins, because that author was fenced first.
        """
        if self.number != other.number or self == other:
            return self.number > other.number
        removes_author = other.author not in self.incarnations
        is_removed = self.author not in other.incarnations
        if removes_author != is_removed:
            return removes_author
        return (self.author or "") < (other.author or "")


NO_VIEW = View(0, ())


class Gossip(NamedTuple):
    """What a node's heartbeat says of the membership."""

    incarnation: int
    view: View
    suspects: frozenset[str]
    follows: str | None
    joining: bool
