"""Waiting for a condition, always with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable

from reserve_agent.errors import CrunchbedError


def wait_until(
    condition: Callable[[], object],
    timeout: float,
    what: str,
    interval: float = 0.02,
    pump: Callable[[], object] | None = None,
) -> None:
    """Return as soon as ``condition()`` is true.

    Args:
        condition: Evaluated once before any waiting, and once more when time is up.
        timeout: Seconds, on the monotonic clock.
        what: What is waited for, for the error: "n2's agent answers".
        interval: Seconds between two evaluations.
        pump: Called before every evaluation, to move along whatever the condition depends on.

    Raises:
        CrunchbedError: The time is up and the condition still false; names ``what``.
    """
    deadline = time.monotonic() + timeout
    while True:
        last = time.monotonic() >= deadline
        if pump is not None:
            pump()
        if condition():
            return
        if last:
            raise CrunchbedError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(min(interval, max(0.0, deadline - time.monotonic())))
