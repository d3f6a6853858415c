"""Writes the run's own events into the history."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.contract.events import NOW, RUN, Event, from_record


class Recorder:
    """Appends events to a file, one JSON line each, without a buffer."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def record(
        self, event: Event | str, /, *, node: str = RUN, t: int | None = None, **fields: Any
    ) -> int:
        """Write one event, with the present time where it has none, and return its time."""
        if isinstance(event, str):
            event = from_record(
                {"t": NOW if t is None else t, "node": node, "kind": event, **fields}
            )
        stamped = event.stamped(time.monotonic_ns(), RUN)
        self._file.write(orjson.dumps(stamped.record()) + b"\n")
        return stamped.t

    def close(self) -> None:
        """Close the file."""
        self._file.close()
