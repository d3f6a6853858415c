"""Writes the run's own events into the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from reserve_agent.contract.events.base import RUN, Event, made_id
from reserve_agent.part import PartSum

_KEPT_BYTES: Final = 1 << 16


class Recorder:
    """Appends the run's own events to a new file, one JSON line each, at once.

    The file's name without the ending stands for the writer; ``now_ns`` is the run's clock.

    Attributes:
        heard: Told of each event once it is written.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._path = path
        self._open()
        self._now_ns = now_ns
        self._writer = path.stem
        self._sum = PartSum()
        self.heard: Callable[[Event], None] = lambda _event: None

    def _open(self) -> None:
        self._file = self._path.open("ab", buffering=0)

    def _write(self, line: bytes) -> None:
        self._file.write(line)

    def beside(self, name: str) -> Recorder:
        """Return the recorder of another part of the same history, by the same clock."""
        return LateRecorder(self._path.with_name(f"{name}.jsonl"), self._now_ns)

    def record(self, event: Event) -> int:
        """Write an event, with the time now where the event has none; returns its time."""
        id_ = made_id(self._writer, 0, self._sum.writers[self._writer])
        stamped = event.stamped(self._now_ns(), RUN, id_)
        line = orjson.dumps(stamped.record()) + b"\n"
        self._write(line)
        self._sum.add(id_, stamped.kind, line)
        self.heard(stamped)
        return stamped.t

    def finish(self, node: str = RUN) -> None:
        """Write down what the part holds: nothing may come after that."""
        self.record(replace(self._sum.closing(), node=node))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class MemoryRecorder(Recorder):
    """Keeps the events of its part in memory: nothing is on file, and no sum is kept of it.

    Args:
        name: The writer.
        now_ns: The run's clock.
        parts: Events by the names of their parts, this one and those beside it.
    """

    def __init__(self, name: str, now_ns: Callable[[], int], parts: dict[str, list[Event]]) -> None:
        self._writer = name
        self._now_ns = now_ns
        self._parts = parts
        self._events = parts[name] = []
        self.heard: Callable[[Event], None] = lambda _event: None

    def beside(self, name: str) -> MemoryRecorder:
        """Return the recorder of another part of the same history, by the same clock."""
        return MemoryRecorder(name, self._now_ns, self._parts)

    def record(self, event: Event) -> int:
        """Keep an event, with the time now where the event has none; returns its time."""
        id_ = made_id(self._writer, 0, len(self._events))
        stamped = event.stamped(self._now_ns(), RUN, id_)
        self._events.append(stamped)
        self.heard(stamped)
        return stamped.t

    def finish(self, node: str = RUN) -> None:
        """There is no file whose end could be missing."""

    def close(self) -> None:
        """There is no file."""


class LateRecorder(Recorder):
    """Puts events on file many at a time, and keeps no file open.

    Nobody reads along while a simulation runs, which may have more parts than files can be open.
    """

    def _open(self) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0

    def _write(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes > _KEPT_BYTES:
            self.close()

    def close(self) -> None:
        """Put on file what is not there yet."""
        with self._path.open("ab") as file:
            file.write(b"".join(self._lines))
        self._lines.clear()
        self._bytes = 0
