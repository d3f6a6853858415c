"""What the run itself writes into the history."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson


class Recorder:
    """Appends the run's own events, one JSON line each, at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def record(
        self, kind: str, /, *, node: str = "run", t: int | None = None, **fields: Any
    ) -> int:
        """Write one event; returns its time."""
        moment = time.monotonic_ns() if t is None else t
        event = {"t": moment, "node": node, "kind": kind, **fields}
        self._file.write(orjson.dumps(event) + b"\n")
        return moment

    def close(self) -> None:
        """Close the file."""
        self._file.close()
