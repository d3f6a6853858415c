"""How late a process wakes up: a busy machine adds that to every time that is measured."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Final

LATE_SECONDS: Final = 0.005
"""Least lateness that counts: ``epoll`` has timers of milliseconds, and other processes run too."""


def wait(
    selector: selectors.BaseSelector,
    seconds: float,
    late: Callable[[int], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[selectors.SelectorKey]:
    """Return the descriptors that are ready, after ``seconds`` at the latest.

    ``late`` is told by how many nanoseconds the wait took too long, if more than ``LATE_SECONDS``.
    """
    begun = clock()
    ready = selector.select(seconds)
    excess = clock() - begun - seconds
    if excess > LATE_SECONDS:
        late(round(excess * 1e9))
    return [key for key, _ in ready]
