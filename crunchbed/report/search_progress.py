"""A search while it goes on, and what it found: lines on stderr, a summary for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from crunchbed.experiments.search.conduct import Found, Violation

_EVERY_SECONDS: Final = 10.0
"""How often a line tells of the progress where there is no terminal for a bar."""
_MOST_OUTCOMES: Final = 5


class SearchProgress:
    """Rate and distinct outcomes, on a terminal as a bar; a line for each rule that is broken.

    Args:
        total: Runs of the search.
        keep: Is told of each violation, to put it on file.
        quiet: Whether nothing is shown.
    """

    def __init__(self, total: int, keep: Callable[[Violation], None], *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._keep = keep
        self._total = total
        self._started = self._told = time.monotonic()
        self._rules: set[str] = set()
        self._terminal = sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[rate]}"),
            console=self._console,
            disable=quiet or not self._terminal,
            transient=True,
        )
        self._task = self._bar.add_task("runs", total=total, rate="")

    def __enter__(self) -> SearchProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def ran(self, found: Found, new: bool) -> None:  # noqa: ARG002 - a protocol
        """Show how far the search is."""
        now = time.monotonic()
        rate = found.runs / max(now - self._started, 1e-9)
        told = f"{rate:.1f} runs/s, {_counted(len(found.outcomes), 'distinct outcome')}"
        self._bar.update(self._task, completed=found.runs, rate=told)
        if not self._terminal and now - self._told >= _EVERY_SECONDS:
            self._told = now
            self._note(f"{found.runs}/{self._total} runs, {told}")

    def broke(self, violation: Violation) -> None:
        """Put a violation on file; tell of a rule that is broken for the first time."""
        self._keep(violation)
        if violation.rule not in self._rules:
            self._rules.add(violation.rule)
            self._note(
                f"run {violation.first_run} breaks {violation.rule}, with "
                f"{_counted(violation.first_events, 'fault')}: {violation.what}"
            )

    def shrinking(self, violation: Violation) -> None:
        """Tell that the smallest schedule is searched for."""
        self._bar.stop()
        self._note(f"shrinking what breaks {violation.rule} ...")

    def _note(self, text: str) -> None:
        elapsed = time.monotonic() - self._started
        line = f"search {elapsed:6.1f} s  {text}"
        self._console.print(escape(line), highlight=False, soft_wrap=True)


def print_found(
    console: Console, name: str, found: Found, file_of: Callable[[Violation], Path]
) -> None:
    """Print what a search has seen and found."""
    rate = found.runs / max(found.seconds, 1e-9)
    ended = ", ended early" if found.interrupted else ""
    _print(
        console,
        f"{name}: {_counted(found.runs, 'run')}{ended}, "
        f"{_counted(len(found.outcomes), 'distinct outcome')}, "
        f"{found.seconds:.0f} s ({rate:.1f} runs/s)",
    )
    common = sorted(found.outcomes.items(), key=lambda one: -one[1])
    for outcome, count in common[:_MOST_OUTCOMES]:
        _print(console, f"{count:>8}  {outcome or 'nothing happens'}")
    if len(common) > _MOST_OUTCOMES:
        _print(console, f"          and {len(common) - _MOST_OUTCOMES} others")
    for violation in found.violations.values():
        _print_violation(console, violation, file_of(violation))
    if not found.violations:
        _print(console, "no rule was broken")


def _print_violation(console: Console, one: Violation, file: Path) -> None:
    _print(console, f"broken  {one.rule} in {one.runs} of the runs: {one.what}")
    small = "shrunk" if one.shrunk else "not shrunk to the end"
    _print(
        console,
        f"        run {one.first_run} had {_counted(one.first_events, 'fault')}; {small}, in "
        f"{one.shrink_runs} more runs, to {_counted(one.schedule.events, 'fault')}:",
    )
    for line in one.schedule.words():
        _print(console, f"          {line}")
    _print(console, f"        crunchbed run {file} --seed {one.schedule.seed}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _print(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False, soft_wrap=True)
