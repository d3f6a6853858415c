"""Infection-style dissemination: what is told to others on the back of other messages."""

from __future__ import annotations

from nodes.membership.detector import Update


class Rumours:
    """The latest that is to be told of each node, the least told first."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Update, int]] = {}

    def __len__(self) -> int:
        return len(self._told)

    def add(self, update: Update) -> None:
        """Tell this from now on instead of what was told of the same node."""
        self._told[update.peer] = (update, 0)

    def forget(self, peer: str) -> None:
        """Tell nothing more of ``peer``."""
        self._told.pop(peer, None)

    def pick(self, most: int, bound: int) -> tuple[Update, ...]:
        """Return up to ``most`` rumours to tell now; each is told ``bound`` times in all."""
        if not self._told:
            return ()
        chosen = sorted(self._told.values(), key=lambda entry: entry[1])[:most]
        for update, times in chosen:
            if times + 1 >= bound:
                del self._told[update.peer]
            else:
                self._told[update.peer] = (update, times + 1)
        return tuple(update for update, _ in chosen)
