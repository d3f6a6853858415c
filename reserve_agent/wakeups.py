"""How late a process wakes that has asked to be woken: what a busy machine adds to every time."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Final

LATE_SECONDS: Final = 0.005
"""What is no lateness: timers of ``epoll`` have milliseconds, and another process its turn."""


class Wakeups:
    """Waits for file descriptors, and tells when a wait took longer than it was asked to.

    Args:
        selector: Has the descriptors.
        late: Told by how much, in nanoseconds, if more than ``LATE_SECONDS``.
        clock: Seconds; another in tests.
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
