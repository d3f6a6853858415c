"""Views, on which the members of a cluster agree, and what heartbeats say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple


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

    @cached_property
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

    def keeps(self, name: str, other: View) -> bool:
        """Return whether the same boot of a node is a member of both views."""
        boot = self.incarnations.get(name)
        return boot is not None and boot == other.incarnations.get(name)

    def changes_from(self, other: View) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the members of ``other`` that are not in this view, and those that are new in it.

        A node whose next boot has taken its place is in both. The last answer is kept: nodes of one
        process share their views, and all of them go from one view to the next.
        """
        if not self._compared or self._compared[0] is not other:
            mine, others = self.incarnations, other.incarnations
            removed = tuple(name for name, boot in other.members if mine.get(name) != boot)
            added = tuple(name for name, boot in self.members if others.get(name) != boot)
            self._compared[:] = [other, removed, added]
        return self._compared[1], self._compared[2]

    @cached_property
    def _compared(self) -> list[Any]:
        return []

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
    """What a node's heartbeat says of the membership.

    Attributes:
        held: Whether it knows that a majority holds the view; said in large clusters alone, where
            most nodes do not hear a majority themselves.
    """

    incarnation: int
    view: View
    suspects: frozenset[str]
    follows: str | None
    joining: bool
    held: bool = False
