"""The time and the dice of a simulated run: no clock of this machine, no order of a set.

Calls that are due at one moment are made in the order in which they were asked for.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from crunchbed.run import signals
from crunchbed.run.world import never

START_NS: Final = 1_000_000_000
STEP_NS: Final = 2_000_000
"""How often a condition is asked. A run in real time asks after each call, every 20 ms at least."""

MOST_AT_ONCE: Final = 1_000_000
"""Calls at one instant that are still no endless loop: 10,000 nodes that begin together make fewer
than 100,000."""
_NAMED: Final = 1000
"""The latest of them, which an error counts."""

Call = Callable[[], None]


class ClockStandsStill(Exception):
    """Calls ask for more calls at the same instant without end: a bug of the simulation."""


class SimulatedLoop:
    """Implements ``crunchbed.run.world.Loop``: the clock jumps to whatever is due next.

    Attributes:
        step_ends_ns: When the run next asks its condition and may do something.
    """

    def __init__(self) -> None:
        self._now = self.step_ends_ns = START_NS
        self._due: list[tuple[int, int, Call]] = []
        self._numbers = itertools.count()
        self._at_once = 0  # calls that were made at this instant
        self._made: Counter[str] = Counter()  # the latest of very many

    def now_ns(self) -> int:
        """Return nanoseconds since a second before the run."""
        return self._now

    def at(self, ns: int, call: Call) -> None:
        """Have something called once the clock is at ``ns``."""
        heapq.heappush(self._due, (ns, next(self._numbers), call))

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until a condition holds or the time is up; returns whether it holds.

        Raises:
            ClockStandsStill: The run would never end.
            KeyboardInterrupt: Somebody wants the run to end.
        """
        until = self._now + round(seconds * 1e9)
        while not condition():
            if self._now >= until:
                return False
            signals.check()
            step_ends = min(self._now + STEP_NS, until)
            self.step_ends_ns = until if condition is never else step_ends
            self._pass(step_ends)
        return True

    def _pass(self, until: int) -> None:
        due = self._due
        while due and due[0][0] <= until:
            ns, _, call = heapq.heappop(due)
            if ns > self._now:
                self._now = ns
                self._at_once = 0
            else:
                self._at_once += 1
                if self._at_once > MOST_AT_ONCE - _NAMED:
                    self._count(call)
            call()
        if until > self._now:
            self._now = until
            self._at_once = 0

    def _count(self, call: Call) -> None:
        """Count a call of very many at one instant; ClockStandsStill where they are too many."""
        if self._at_once == MOST_AT_ONCE - _NAMED + 1:
            self._made.clear()
        self._made[_name_of(call)] += 1
        if self._at_once > MOST_AT_ONCE:
            names = ", ".join(f"{count} of {name}" for name, count in self._made.most_common(5))
            seconds = (self._now - START_NS) / 1e9
            raise ClockStandsStill(
                f"the clock stands still at {seconds:.9f} s: {self._at_once:,} calls there, "
                f"the latest {names}"
            )


def _name_of(call: Call) -> str:
    """Return the name of the function that a call comes down to."""
    of: object = call
    while isinstance(of, functools.partial):
        of = of.func
    owner = getattr(of, "__self__", None)
    if isinstance(owner, Timer):
        return _name_of(owner.call)
    return getattr(of, "__qualname__", repr(of))


class Timer:
    """One call, which is due at one time at most; another time replaces the one before.

    Attributes:
        call: What is called.
    """

    def __init__(self, loop: SimulatedLoop, call: Call) -> None:
        self._loop = loop
        self.call = call
        self._due: int | None = None
        self._waits_until: int | None = None  # when the loop looks here next

    @property
    def is_set(self) -> bool:
        """Whether the call is due at some time."""
        return self._due is not None

    @property
    def due_ns(self) -> int | None:
        """When the call is due; None: at no time."""
        return self._due

    def set_by(self, ns: int) -> None:
        """Have the call made at ``ns`` nanoseconds, if it is not due before."""
        if self._due is None or ns < self._due:
            self.set(ns)

    def set(self, ns: int) -> None:
        """Have the call made at ``ns`` nanoseconds."""
        self._due = ns
        self._wait(ns)

    def cancel(self) -> None:
        """Have no call made."""
        self._due = None

    def _wait(self, ns: int) -> None:
        if self._waits_until is None or ns < self._waits_until:
            self._waits_until = ns
            self._loop.at(ns, self._look)

    def _look(self) -> None:
        now = self._loop.now_ns()
        if self._waits_until is not None and now >= self._waits_until:
            self._waits_until = None
        if self._due is None:
            return
        if now < self._due:
            self._wait(self._due)
            return
        self._due = None
        self.call()


class Streams:
    """Randomness of one run: each part draws from a stream of its own, which its name decides.

    A draw more in one part so moves nothing in another. A text seeds Python's generator by its
    SHA-512 digest, which is the same in every process.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fork(self, name: str) -> random.Random:
        """Return the stream of a part from its beginning."""
        return random.Random(f"{self._seed}:{name}")  # noqa: S311 - repeatable, not secret
