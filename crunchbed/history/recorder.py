"""Writes the run's own events into the history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.contract.events.base import NOW, RUN, Event
from reserve_agent.contract.events.kinds import from_record


class Recorder:
    """Appends the run's own events, one JSON line each, at once.

    Args:
        path: The file.
        now_ns: The run's clock, nanoseconds.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._file = path.open("ab", buffering=0)
        self._now_ns = now_ns

    def record(
        self, event: Event | str, /, *, node: str = RUN, t: int | None = None, **fields: Any
    ) -> int:
        """Write an event, with the time now where the event has none; returns its time."""
        if isinstance(event, str):
            event = from_record(
                {"t": NOW if t is None else t, "node": node, "kind": event, **fields}
            )
        stamped = event.stamped(self._now_ns(), RUN)
        self._file.write(orjson.dumps(stamped.record()) + b"\n")
        return stamped.t

    def close(self) -> None:
        """Close the file."""
        self._file.close()
