"""A sweep while it goes on: lines on stderr, and on a terminal a bar."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from crunchbed.checks.result import Result
from crunchbed.experiments.sweep.space import Trial
from crunchbed.report.progress import time_left


class SweepProgress:
    """Lines on stderr; on a terminal a bar below them with the time left."""

    def __init__(self, total: int | None, done: int) -> None:
        """Begin with ``done`` runs of ``total``, which is None where it is not known."""
        self._console = Console(stderr=True)
        self._total = total
        self._before = self._done = done
        self._started = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("runs", total=total, completed=done, left="", start=True)

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        if self._before:
            self.note(f"{self._before} runs are there already")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def finished(self, trial: Trial, result: Result) -> None:
        """Print the result of a run."""
        self._done += 1
        of = "" if self._total is None else f"/{self._total}"
        ejected = f"{result.totals.nodes_ejected} ejected"
        left = self._left()
        self.note(
            f"{self._done}{of} {trial.name}: {result.verdict}, {ejected}{left and ', '}{left}"
        )
        self._bar.update(self._task, completed=self._done, left=left)

    def note(self, text: str) -> None:
        """Print a line."""
        elapsed = time.monotonic() - self._started
        self._console.print(
            escape(f"sweep {elapsed:6.1f} s  {text}"), highlight=False, soft_wrap=True
        )

    def tick(self, running: int) -> None:
        """Show how many runs go on."""
        self._bar.update(self._task, description=f"runs ({running} at once)")

    def _left(self) -> str:
        made = self._done - self._before
        if self._total is None or made == 0 or self._done >= self._total:
            return ""
        seconds = (time.monotonic() - self._started) / made * (self._total - self._done)
        return time_left(seconds)
