"""All nodes that may ever be members, in the order of their indexes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from nodes.membership.views import Member, View


class Order(tuple[str, ...]):
    """The names of all configured nodes, by index; nodes of one process may share one."""

    @cached_property
    def place(self) -> dict[str, int]:
        """The place of every name, from 0."""
        return {name: place for place, name in enumerate(self)}

    def sort(self, names: Iterable[str]) -> list[str]:
        """Return ``names`` in this order; those that are not in it are left out."""
        return sorted((name for name in names if name in self.place), key=self.place.__getitem__)

    def others(self, name: str) -> tuple[str, ...]:
        """Return all names but this one, which is in it."""
        place = self.place[name]
        return self[:place] + self[place + 1 :]

    def first_view(self, incarnation: int) -> View:
        """Return view 1, in which every node is a member with this count of boots."""
        view = self._first.get(incarnation)
        if view is None:
            members = tuple(Member(name, incarnation) for name in self)
            view = self._first[incarnation] = View(1, members)
        return view

    @cached_property
    def _first(self) -> dict[int, View]:
        return {}
