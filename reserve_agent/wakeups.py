"""How late a process wakes up: a busy machine adds that to every time that is measured."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Final

LATE_SECONDS: Final = 0.005
"""Least lateness that counts: ``epoll`` has timers of milliseconds, and other processes run too."""


class Wakeups:
    """Waits for file descriptors, and tells ``late`` of a wait that took longer than it should.

    ``late`` gets the nanoseconds, if they are more than ``LATE_SECONDS``; ``clock`` has seconds.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        late: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._selector = selector
        self._late = late
        self._clock = clock

    def wait(self, seconds: float) -> list[selectors.SelectorKey]:
        """Return the descriptors that are ready, after ``seconds`` at the latest."""
        begun = self._clock()
        ready = self._selector.select(seconds)
        late = self._clock() - begun - seconds
        if late > LATE_SECONDS:
            self._late(round(late * 1e9))
        return [key for key, _ in ready]
