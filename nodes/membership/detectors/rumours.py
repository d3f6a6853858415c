"""Rumours: what is told to other nodes as a part of other messages (SWIM, section 4.1)."""

from __future__ import annotations

from nodes.membership.detector import Update


class Rumours:
    """The latest rumour about each node; those that were told least often are told first."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Update, int]] = {}

    def __len__(self) -> int:
        return len(self._told)

    def add(self, update: Update) -> None:
        """Tell this rumour from now on in place of any other about the same node."""
        self._told[update.peer] = (update, 0)

    def forget(self, peer: str) -> None:
        """Tell nothing more about ``peer``."""
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
