"""Writes the run's own events into the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson

from reserve_agent.contract.events.base import RUN, Event, made_id
from reserve_agent.part import PartSum


class Recorder:
    """Appends the run's own events to a new file, one JSON line each, at once.

    The file's name without the ending stands for the writer; ``now_ns`` is the run's clock.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._file = path.open("ab", buffering=0)
        self._now_ns = now_ns
        self._writer = path.stem
        self._sum = PartSum()

    def record(self, event: Event) -> int:
        """Write an event, with the time now where the event has none; returns its time."""
        id_ = made_id(self._writer, 0, self._sum.writers[self._writer])
        stamped = event.stamped(self._now_ns(), RUN, id_)
        line = orjson.dumps(stamped.record()) + b"\n"
        self._file.write(line)
        self._sum.add(id_, stamped.kind, line)
        return stamped.t

    def finish(self, node: str = RUN) -> None:
        """Write down what the part holds: nothing may come after that."""
        self.record(replace(self._sum.closing(), node=node))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
