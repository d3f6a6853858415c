"""What becomes of normal tasks that want a page while there is none above R."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from reserve_agent.model.pool import Pool
from reserve_agent.model.profiles.kernel import Reclaim


class Task(Enum):
    """What a normal task does."""

    RUNS = auto()
    RECLAIMS = auto()
    """It looks for pages by itself, in rounds."""
    SLEEPS = auto()
    """It waits for kswapd, or under ``proposal-2005`` for the end of the pressure."""
    ENDED = auto()
    """The OOM killer has ended it."""


@dataclass
class NormalTasks:
    """The tasks that wait for the pool's ``demand``, as one.

    Attributes:
        fruitless: Rounds in a row that found no page.
        kills: How often the OOM killer ended a task.
    """

    pool: Pool
    rules: Reclaim
    fruitless: int = 0
    kills: int = 0

    @property
    def state(self) -> Task:
        """What the tasks do at this level."""
        pool, rules = self.pool, self.rules
        if not pool.demand or pool.free > pool.reserve:
            return Task.RUNS
        if not rules.fruitless_rounds or pool.free < rules.sleeps_below.of(pool.reserve):
            return Task.SLEEPS
        return Task.RECLAIMS

    def look(self, found: bool) -> Task:
        """A round of reclaim by a task that wants a page; ``found``: some page became free.

        The round that is one too many ends the task. What it had dirtied is then free, without
        having been written, and nobody wants pages any more.
        """
        state = self.state
        if state is not Task.RECLAIMS:
            return state
        self.fruitless = 0 if found else self.fruitless + 1
        if self.fruitless < self.rules.fruitless_rounds:
            return state
        self.fruitless = 0
        self.kills += 1
        self.pool.demand = 0
        self.pool.wash(self.pool.dirty)
        return Task.ENDED
