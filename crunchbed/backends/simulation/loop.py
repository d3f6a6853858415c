"""The time and the dice of a simulated run: no clock of this machine, no order of a set.

Calls that are due at one moment are made in the order in which they were asked for.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Final

from crunchbed.run import signals
from crunchbed.run.world import never

START_NS: Final = 1_000_000_000
STEP_NS: Final = 2_000_000
"""How often a condition is asked. A run in real time asks after each call, every 20 ms at least."""

Call = Callable[[], None]


class SimulatedLoop:
    """Implements ``crunchbed.run.world.Loop``: the clock jumps to whatever is due next.

    Attributes:
        step_ends_ns: When the run next asks its condition and may do something.
    """

    def __init__(self) -> None:
        self._now = self.step_ends_ns = START_NS
        self._due: list[tuple[int, int, Call]] = []
        self._numbers = itertools.count()

    def now_ns(self) -> int:
        """Return nanoseconds since a second before the run."""
        return self._now

    def at(self, ns: int, call: Call) -> None:
        """Have something called once the clock is at ``ns``."""
        heapq.heappush(self._due, (ns, next(self._numbers), call))

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until a condition holds or the time is up; returns whether it holds.

        Raises:
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
            call()
        self._now = until


class Timer:
    """One call, which is due at one time at most; another time replaces the one before."""

    def __init__(self, loop: SimulatedLoop, call: Call) -> None:
        self._loop = loop
        self._call = call
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
        self._call()


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
