"""What ``crunchbed regress`` found, as a table and as test cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crunchbed.experiments.regress import Outcome
from crunchbed.experiments.stats.worse import Compared
from crunchbed.report.junit import Case
from crunchbed.report.table import figure, interval, new_table

_SHOWN: Final = ("worse", "better")
_COLOURS: Final = {"worse": "red", "better": "green", "same": "dim"}


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print which figures changed beyond noise, and the verdict."""
    console.print(
        escape(f"{outcome.scenario} against the baseline {outcome.baseline}"), style="bold"
    )
    for note in outcome.notes:
        console.print(f"note: {escape(note)}", style="yellow", soft_wrap=True)
    shown = [one for one in outcome.compared if one.verdict in _SHOWN]
    if shown:
        console.print(_table(console, shown))
    same = len(outcome.compared) - len(shown)
    console.print(f"{same} of {len(outcome.compared)} figures are no different beyond noise")
    for one in outcome.unconfirmed:
        console.print(
            f"not confirmed by a second set of runs: {one.policy} {one.figure}", soft_wrap=True
        )
    for reason in outcome.unknown:
        console.print(f"not known: {escape(reason)}", style="yellow", soft_wrap=True)
    verdict = {0: "[green]no regression[/]", 1: "[red]regression[/]"}
    console.print(f"verdict: {verdict.get(outcome.exit_code, '[yellow]unknown[/]')}")


def cases_of(outcome: Outcome) -> list[Case]:
    """Return a test case for every figure that was compared, and for what is not known."""
    classname = f"crunchbed.regress.{outcome.baseline}"
    figures = [
        Case(
            f"{classname}.{one.policy}",
            one.figure,
            "failure" if one in outcome.regressions else "pass",
            f"{figure(one.before)} then, {figure(one.now)} now: {interval(one.difference)}, "
            f"where up to {figure(one.margin)} is allowed",
        )
        for one in outcome.compared
    ]
    unknown = [
        Case(classname, f"valid runs {number}", "error", reason)
        for number, reason in enumerate(outcome.unknown, 1)
    ]
    return [*figures, *unknown]


def _table(console: Console, shown: Sequence[Compared]) -> Table:
    right = ["baseline", "now", "difference", "allowed", "effect"]
    table = new_table(console, ["policy", "figure"], right)
    table.add_column("")
    for one in shown:
        table.add_row(
            one.policy,
            one.figure,
            figure(one.before),
            figure(one.now),
            escape(interval(one.difference)),
            figure(one.margin),
            f"{one.effect:+.2f}",
            f"[{_COLOURS[one.verdict]}]{one.verdict}[/]",
        )
    return table
