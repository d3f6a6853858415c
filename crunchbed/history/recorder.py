"""Writes the run's own events into the history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from reserve_agent.contract.events.base import RUN, Event


class Recorder:
    """Appends the run's own events, one JSON line each, at once.

    Args:
        path: The file.
        now_ns: The run's clock, nanoseconds.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._file = path.open("ab", buffering=0)
        self._now_ns = now_ns

    def record(self, event: Event) -> int:
        """Write an event, with the time now where the event has none; returns its time."""
        stamped = event.stamped(self._now_ns(), RUN)
        self._file.write(orjson.dumps(stamped.record()) + b"\n")
        return stamped.t

    def close(self) -> None:
        """Close the file."""
        self._file.close()
