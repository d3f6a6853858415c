"""A sweep for people: progress while it goes on, and its table."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from crunchbed.checks.result import Result
from crunchbed.experiments.sweep.quantity import size_of
from crunchbed.experiments.sweep.summary import Found, Summary
from crunchbed.experiments.sweep.trial import Trial
from crunchbed.report.table import spread_cell


class SweepProgress:
    """Lines on stderr, and on a terminal a bar with the time left below them."""

    def __init__(self, total: int | None, done: int) -> None:
        """``total``: runs in all, None where nobody knows; ``done``: made before."""
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
        """A run has its result."""
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
        """Say how many run."""
        self._bar.update(self._task, description=f"runs ({running} at once)")

    def _left(self) -> str:
        made = self._done - self._before
        if self._total is None or made == 0 or self._done >= self._total:
            return ""
        seconds = (time.monotonic() - self._started) / made * (self._total - self._done)
        return f"{seconds / 60:.0f} min left" if seconds > 90 else f"{seconds:.0f} s left"


def print_sweep(console: Console, summary: Summary, figures: Sequence[str]) -> None:
    """Print one row for each point, then the thresholds."""
    seeds = f"{len(summary.seeds)} seed{'s' if len(summary.seeds) > 1 else ''}"
    console.print(escape(f"{summary.scenario}: {seeds}, median [min..max]"), style="bold")
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    keys = list(dict.fromkeys(key for one in summary.points for key in one.point))
    for key in keys:
        table.add_column(key)
    for heading in ("ejecting", "ejected alive", *figures):
        table.add_column(heading, justify="right")
    for one in summary.points:
        invalid = f" ({one.runs - one.valid} invalid)" if one.valid < one.runs else ""
        table.add_row(
            *(escape(one.point.get(key, "")) for key in keys),
            f"{one.ejecting}/{one.valid}{invalid}",
            f"{one.ejecting_alive}/{one.valid}",
            *(spread_cell(one.figures.get(name)) for name in figures),
        )
    console.print(table)
    for found in summary.thresholds:
        console.print(escape(threshold_line(found)), highlight=False, soft_wrap=True)


def threshold_line(found: Found) -> str:
    """What a search found, in one line."""
    where = ", ".join(f"{key}={value}" for key, value in found.point.items())
    start = f"{where}: " if where else ""
    if found.below is None or found.above is None:
        return f"{start}no threshold of {found.figure} along {found.key}: {found.reason}"
    first, then = ("0", "above 0") if found.rises else ("above 0", "0")
    line = (
        f"{start}{found.figure} is {first} up to {found.key}={found.below} "
        f"and {then} from {found.above} on, in most runs"
    )
    return f"{line}; {_confirmation(found, first, then)}" if found.confirmed else line


def _confirmation(found: Found, first: str, then: str) -> str:
    """What the further runs say: where all agree, and how often in between."""
    counts = sorted(found.confirmed.items(), key=lambda one: size_of(one[0]) or 0)
    told = ", ".join(f"{above} of {valid} at {value}" for value, (above, valid) in counts)
    sides = [
        f"{word} in all of them {where} {value}" if value is not None else f"nowhere surely {word}"
        for word, where, value in (
            (first, "up to", found.clear_below),
            (then, "from", found.clear_above),
        )
    ]
    return f"of further runs it is above 0 in {told}: {', '.join(sides)}"
