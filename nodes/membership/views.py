"""Views, on which the members of a cluster agree, and what heartbeats say of them."""

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
        number: 1 for the first view, one more for every change; 0 is no view.
        members: In the order of their indexes.
        author: The coordinator that made it; None for the first view. Views that differ in nothing
            but their authors are equal.
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
        """Return whether this incarnation of the node is a member."""
        return self.incarnations.get(member.name) == member.incarnation

    def supersedes(self, other: View) -> bool:
        """Return whether a node that holds ``other`` changes to this view when it hears of it.

        A higher number wins. Two views of the same number come from two coordinators, one after the
        other: then the view that removed the other view's author wins, because that author was
        fenced first.
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
