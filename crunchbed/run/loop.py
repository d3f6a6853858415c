"""The loop of a run in real time: calls that are due, sockets that are ready, and signals."""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from collections.abc import Callable
from typing import Final

from crunchbed.run import signals

STEP_SECONDS: Final = 0.02
"""How long the loop waits at most before it looks again at what nothing wakes it for."""


class SelectorLoop:
    """Implements ``crunchbed.run.world.Loop`` on CLOCK_MONOTONIC.

    Attributes:
        selector: Servers register their sockets here for reading, with a callable as ``data``.
    """

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now_ns(self) -> int:
        """Return nanoseconds of CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def at(self, ns: int, call: Callable[[], None]) -> None:
        """Have something called once the clock is at ``ns``, while the loop runs."""
        heapq.heappush(self._due, (ns, next(self._numbers), call))

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until a condition holds or the time is up; returns whether it holds."""
        until = self.now_ns() + seconds * 1e9
        while not condition():
            left = until - self.now_ns()
            if left <= 0:
                return False
            self.step(left / 1e9)
        return True

    def step(self, seconds: float) -> None:
        """Wait for something to do, ``STEP_SECONDS`` or ``seconds`` at most, and do it.

        Raises:
            KeyboardInterrupt: Somebody wants the run to end.
        """
        signals.check()
        for key, _ in self.selector.select(min(seconds, STEP_SECONDS, self._seconds_to_next())):
            key.data()
        now = self.now_ns()
        while self._due and self._due[0][0] <= now:
            _, _, call = heapq.heappop(self._due)
            call()

    def _seconds_to_next(self) -> float:
        if not self._due:
            return STEP_SECONDS
        return max(0.0, (self._due[0][0] - self.now_ns()) / 1e9)

    def close(self) -> None:
        """Close the selector; the loop runs no more."""
        self.selector.close()
