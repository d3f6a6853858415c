"""Which outcomes were seen, how often, and by which schedule first."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

from crunchbed.experiments.search.schedule import Schedule

_FRESH: Final = 0.4
"""Share of the schedules that are drawn anew."""


class Coverage:
    """Distinct outcomes; what has found a rare one is likely to be gone on with.

    Attributes:
        seen: How often each outcome was seen.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._first: dict[str, Schedule] = {}

    def add(self, schedule: Schedule, outcome: str) -> bool:
        """Take a run in; returns whether its outcome is new."""
        self.seen[outcome] += 1
        if outcome in self._first:
            return False
        self._first[outcome] = schedule
        return True

    def pick(self, dice: random.Random) -> Schedule | None:
        """Return a schedule to go on with; None: draw a new one.

        An outcome that was seen once is as likely as ten that were seen ten times each.
        """
        if not self._first or dice.random() < _FRESH:
            return None
        outcomes = list(self._first)
        rarity = [1 / self.seen[outcome] for outcome in outcomes]
        return self._first[dice.choices(outcomes, rarity)[0]]
