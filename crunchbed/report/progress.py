"""Progress of a run on stderr: a line for each phase; on a terminal a live view."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from crunchbed.run.progress import Progress

if TYPE_CHECKING:
    from crunchbed.report.live_view import LiveView
    from crunchbed.scenario.schema import Scenario


def time_left(seconds: float) -> str:
    """Return how much time is left, as progress tells it."""
    return f"{seconds / 60:.0f} min left" if seconds > 90 else f"{seconds:.0f} s left"


@contextmanager
def watched(scenario: Scenario, label: str, *, quiet: bool) -> Iterator[Progress]:
    """Show a run's progress: as a view on a terminal, else as lines on stderr, not if ``quiet``."""
    if quiet:
        yield Progress()
        return
    shown = _shown(scenario, label)
    try:
        yield shown
    finally:
        shown.done()


def _shown(scenario: Scenario, label: str) -> LineProgress | LiveView:
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from crunchbed.report.live_view import LiveView

        return LiveView(sys.stderr, label, scenario)
    return LineProgress(sys.stderr, label)


class LineProgress(Progress):
    """Shows a run on a text stream, with ``label`` in front of every line."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._label = label
        self._live = stream.isatty()
        self._started = self._phase_started = time.monotonic()
        self._phase = ""
        self._ticked = 0.0

    def phase(self, name: str, seconds: float | None) -> None:
        """Print the phase that begins, with its longest duration where that is known."""
        self._phase_started = time.monotonic()
        self._phase = name if seconds is None else f"{name} (up to {seconds:g} s)"
        self.note(self._phase)

    def note(self, text: str) -> None:
        """Print a line."""
        elapsed = time.monotonic() - self._started
        self._clear()
        self._stream.write(f"{self._label} {elapsed:6.1f} s  {text}\n")
        self._stream.flush()

    def tick(self) -> None:
        """Show on a terminal how long the phase has lasted."""
        now = time.monotonic()
        if self._live and now - self._ticked >= 0.1:
            self._ticked = now
            waited = now - self._phase_started
            self._stream.write(f"\r\x1b[K{self._label} ...  {self._phase}: {waited:.1f} s")
            self._stream.flush()

    def done(self) -> None:
        """Clear a line that is not complete."""
        self._clear()
        self._stream.flush()

    def _clear(self) -> None:
        if self._live:
            self._stream.write("\r\x1b[K")
