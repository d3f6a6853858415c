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
        condition: looked at once before any waiting and once more when time is up.
        timeout: seconds, on the monotonic clock.
        what: what is awaited, for the error: "n2's agent answers".
        interval: seconds between two looks.
        pump: called before every look, to move along whatever the condition depends on.

    Raises:
        CrunchbedError: the time is up and the condition still false; names ``what``.
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
