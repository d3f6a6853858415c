"""Carries out a search: draws schedules, takes in what came of them, shrinks what broke a rule.

The same seed searches the same schedules on any number of workers: results are taken in the order
in which their runs were drawn, and a run is drawn with what is known of those ``_AHEAD`` before it.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from crunchbed.experiments.search.coverage import Coverage
from crunchbed.experiments.search.draw import Bounds, Drawer
from crunchbed.experiments.search.pool import Pool
from crunchbed.experiments.search.schedule import Schedule
from crunchbed.experiments.search.shrink import Shrunk, shrink, simplicity
from crunchbed.experiments.search.trial import Tried, attempt
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

_AHEAD: Final = 32
"""Runs that are drawn before the first of them is over."""


@dataclass
class Violation:
    """A rule that was broken.

    Attributes:
        rule: Its name.
        what: What happened, of the schedule below.
        schedule: The simplest schedule known that breaks the rule.
        first_run: Which run has broken it first, from 1.
        first_events: How many faults and crunches that run had.
        runs: How many runs have broken it.
        shrink_runs: How many runs the shrinking has taken.
        shrunk: Whether the shrinking came to its end.
    """

    rule: str
    what: str
    schedule: Schedule
    first_run: int
    first_events: int
    runs: int = 1
    shrink_runs: int = 0
    shrunk: bool = False


@dataclass
class Found:
    """What a search has seen.

    Attributes:
        runs: How many runs were made, those of the shrinking left out.
        outcomes: How often each outcome was seen.
        violations: By rule.
        interrupted: Whether somebody has ended it early.
        seconds: What these runs took.
    """

    runs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    violations: dict[str, Violation] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0


class Watcher(Protocol):
    """Whoever shows the progress of a search, and keeps what it finds."""

    def ran(self, found: Found, new: bool) -> None:
        """A run is over; ``new`` says whether nothing had ended like that before."""

    def broke(self, violation: Violation) -> None:
        """A rule was broken for the first time, or by a simpler schedule than before."""

    def shrinking(self, violation: Violation) -> None:
        """A violation is about to be shrunk."""


class Search:
    """One search.

    Attributes:
        kinds: Kinds of faults that go with the scenario, out of those that were asked for.
        found: What it has seen so far.
    """

    def __init__(self, base: Scenario, bounds: Bounds, seed: int, watcher: Watcher) -> None:
        self._base = base
        self._watcher = watcher
        self._dice = random.Random(f"{base.name}:{seed}:search")  # noqa: S311 - repeatable
        self._drawer = Drawer(base, bounds, self._dice)
        self._coverage = Coverage()
        self.kinds = self._drawer.kinds
        self.found = Found()

    def run(self, runs: int, pool: Pool, *, first: bool = False) -> Found:
        """Make so many runs, or end with the first violation; then shrink what was found.

        Whoever ends it early gets what is known by then.
        """
        started = time.monotonic()
        try:
            try:
                self._explore(runs, pool, first=first)
            finally:
                self.found.seconds = time.monotonic() - started
            for violation in list(self.found.violations.values()):
                self._shrink(violation)
        except KeyboardInterrupt:
            self.found.interrupted = True
        return self.found

    def _explore(self, runs: int, pool: Pool, *, first: bool) -> None:
        begun: deque[tuple[Schedule, Any]] = deque()
        drawn = 0
        while begun or drawn < runs:
            while drawn < runs and len(begun) < _AHEAD:
                schedule = self._next()
                scenario = schedule.of_scenario(self._base)
                begun.append((schedule, pool.submit(scenario, schedule.seed)))
                drawn += 1
            schedule, handle = begun.popleft()
            self._take_in(schedule, pool.tried(handle))
            if first and self.found.violations:
                return

    def _next(self) -> Schedule:
        known = self._coverage.pick(self._dice)
        return self._drawer.new() if known is None else self._drawer.like(known)

    def _take_in(self, schedule: Schedule, tried: Tried) -> None:
        new = self._coverage.add(schedule, tried.outcome)
        self.found.runs += 1
        self.found.outcomes = dict(self._coverage.seen)
        for rule in sorted(tried.rules):
            self._note(rule, next(one.what for one in tried.broken if one.rule == rule), schedule)
        self._watcher.ran(self.found, new)

    def _note(self, rule: str, what: str, schedule: Schedule) -> None:
        known = self.found.violations.get(rule)
        if known is None:
            known = Violation(rule, what, schedule, self.found.runs, schedule.events)
            self.found.violations[rule] = known
        else:
            known.runs += 1
            if simplicity(schedule) >= simplicity(known.schedule):
                return
            known.schedule, known.what = schedule, what
        self._watcher.broke(known)

    def _shrink(self, violation: Violation) -> None:
        self._watcher.shrinking(violation)
        so_far = Shrunk(violation.schedule)
        try:
            shrink(violation.schedule, self._breaks(violation.rule), so_far)
            violation.shrunk = True
        finally:
            violation.schedule, violation.shrink_runs = so_far.schedule, so_far.runs
            violation.what = self._words_of(violation)
            self._watcher.broke(violation)

    def _words_of(self, violation: Violation) -> str:
        """Return what the smallest schedule does."""
        tried = self._attempt(violation.schedule)
        said = [one.what for one in tried.broken if one.rule == violation.rule]
        return said[0] if said else violation.what

    def _attempt(self, schedule: Schedule) -> Tried:
        return attempt(schedule.of_scenario(self._base), schedule.seed)

    def _breaks(self, rule: str) -> Callable[[Schedule], bool]:
        def breaks(schedule: Schedule) -> bool:
            try:
                return rule in self._attempt(schedule).rules
            except BadInput:
                return False

        return breaks
