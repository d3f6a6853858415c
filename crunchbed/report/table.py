"""Tables of results for people: one run by node, or several policies side by side."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crunchbed.checks.figures import CAUSES, NAMES, Figures
from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import Comparison, Repeated, Spread
from crunchbed.report.formatting import figure
from crunchbed.report.scale import time_scale
from crunchbed.report.statistics import print_statistics
from crunchbed.scenario.schema import Scenario

PIPED_COLUMNS: Final = 160
MOST_NODES: Final = 6

_COLOURS: Final = {"pass": "green", "fail": "red", "invalid": "yellow", "unknown": "yellow"}
_CAUSE_NAMES: Final = [f"misses_by_cause.{cause}" for cause in CAUSES]
_PATHS: Final = ("path_restore_seconds", "rings_restore_seconds")
_MOVES: Final = ("failovers", "failover_seconds", "failover_longest_seconds")
_SWITCH: Final = (
    "switch_drops",
    "shed_episodes",
    "shed_too_late",
    "reaction_p50_seconds",
    "reaction_p99_seconds",
)
_MISSED_AT: Final = NAMES.index("heartbeats_missed") + 1
_ROWS: Final = (
    *NAMES[:_MISSED_AT],
    *_CAUSE_NAMES,
    *(name for name in NAMES[_MISSED_AT:] if name not in _CAUSE_NAMES),
)
_NOT_A_RATIO: Final = ("heartbeats_sent", "reserve_pages")


def open_console(file: TextIO | None = None) -> Console:
    """Return a console for ``file`` (stdout); plain and wide where it is no terminal."""
    target = file or sys.stdout
    width = None if target.isatty() else PIPED_COLUMNS
    return Console(file=target, width=width, highlight=False, emoji=False)


def print_run(console: Console, result: Result, scenario: Scenario) -> None:
    """Print one run: figures in total and by node, expectations, verdict."""
    shown, left_out = _nodes_shown(result)
    _title(console, f"{result.scenario}: policy {result.policy}, seed {result.seed}")
    table = _table(console)
    table.add_column("total", justify="right")
    for node in shown:
        table.add_column(node, justify="right")
    each = [result.totals, *(result.nodes[node] for node in shown)]
    for name in rows(each):
        table.add_row(label(name), *(figure(one.value(name)) for one in each))
    console.print(table)
    if left_out:
        console.print(f"{left_out} more nodes without anything to tell are in result.json")
    console.print(
        time_scale(scenario, result.totals.pressure_longest_seconds), style="dim", soft_wrap=True
    )
    for node, sockets in result.reserve_users.items():
        if sockets:
            text = ", ".join(f"{name} {pages} pages" for name, pages in sockets.items())
            console.print(f"reserve of {node} went to: {escape(text)}", soft_wrap=True)
    for outcome in result.expectations:
        console.print(
            f"{_mark(outcome.holds)}  {escape(outcome.text)}  ({outcome.shown})", soft_wrap=True
        )
    _print_verdict(console, result)


def print_comparison(console: Console, comparison: Comparison, scenario: Scenario) -> None:
    """Print policies as columns, figures as rows; the median and range where runs repeat."""
    repeats = len(comparison.seeds)
    runs = f"{repeats} seeds: median [min..max]" if repeats > 1 else f"seed {comparison.seeds[0]}"
    _title(console, f"{comparison.scenario}: {runs}")
    table = _table(console)
    for policy in comparison.policies:
        table.add_column(policy, justify="right")
    pair = len(comparison.policies) == 2
    if pair:
        table.add_column(" / ".join(comparison.policies), justify="right")
    for name in rows([run.totals for run in comparison.runs if run.valid]):
        spreads = [comparison.spread(policy, name) for policy in comparison.policies]
        ratio = [_ratio(name, spreads)] if pair else []
        table.add_row(label(name), *map(spread_cell, spreads), *ratio)
    table.add_section()
    verdicts = [_verdicts(comparison.of(policy)) for policy in comparison.policies]
    table.add_row("verdict", *verdicts, *[""] * pair)
    console.print(table)
    if comparison.statistics is not None:
        print_statistics(console, comparison.statistics)
    longest = max((run.totals.pressure_longest_seconds for run in comparison.runs), default=0.0)
    console.print(time_scale(scenario, longest), style="dim", soft_wrap=True)
    for repeated in comparison.expectations:
        console.print(_expectation(repeated), soft_wrap=True)
    for run in comparison.runs:
        for reason in run.reasons:
            console.print(
                f"{run.policy}, seed {run.seed}, {run.verdict}: {escape(reason)}", soft_wrap=True
            )


def _title(console: Console, text: str) -> None:
    console.print(escape(text), style="bold")


def _table(console: Console) -> Table:
    # Boxes and rules are for eyes; what reads a pipe wants columns.
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    table.add_column("")
    return table


def rows(each: Iterable[Figures]) -> list[str]:
    """Return the figures worth a row.

    Causes and fail-overs only where there were any, the switch's only where it had a controller,
    and those of a path only where one failed.
    """
    found = list(each)

    def worth(name: str) -> bool:
        values = [one.value(name) for one in found]
        if name in (*_SWITCH, *_PATHS):
            return any(value is not None for value in values)
        return name not in (*_CAUSE_NAMES, *_MOVES) or any(values)

    return [name for name in _ROWS if worth(name)]


def label(name: str) -> str:
    """Return the name of a figure's row; that of a part is set in."""
    head, _, tail = name.partition(".")
    return f"  {tail}" if tail else head


def _nodes_shown(result: Result) -> tuple[list[str], int]:
    """All nodes of a small cluster; of a large one those with something to tell."""
    nodes = list(result.nodes)
    if len(nodes) <= MOST_NODES:
        return nodes, 0
    telling = [
        name
        for name, one in result.nodes.items()
        if one.heartbeats_missed or one.nodes_ejected or one.pressure_episodes or one.io_errors
    ]
    return telling[:MOST_NODES], len(nodes) - min(len(telling), MOST_NODES)


def spread_cell(spread: Spread | None) -> str:
    """Return a median and its range as a cell; one figure where all are equal."""
    if spread is None:
        return "-"
    if spread.low == spread.high:
        return figure(spread.median)
    return f"{figure(spread.median)} {escape(f'[{figure(spread.low)}..{figure(spread.high)}]')}"


def _ratio(name: str, spreads: list[Spread | None]) -> str:
    first, second = spreads
    if name in _NOT_A_RATIO or first is None or second is None:
        return ""
    if not first.median or not second.median or first.median == second.median:
        return ""
    return f"{first.median / second.median:.3g}x"


def _verdicts(runs: list[Result]) -> str:
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.verdict] = counts.get(run.verdict, 0) + 1
    return ", ".join(
        f"[{_COLOURS[name]}]{name}[/]{f' {count}/{len(runs)}' if len(runs) > 1 else ''}"
        for name, count in counts.items()
    )


def _mark(holds: bool | None) -> str:
    return {True: "[green]holds[/]  ", False: "[red]fails[/]  ", None: "[yellow]unknown[/]"}[holds]


def _expectation(repeated: Repeated) -> str:
    if not repeated.runnable:
        return f"not run  {escape(repeated.text)}"
    of = len(repeated.outcomes)
    why = f"{repeated.held}/{of}" if of > 1 else repeated.outcomes[0].shown or "no valid run"
    return f"{_mark(repeated.holds)}  {escape(repeated.text)}  ({why})"


def _print_verdict(console: Console, result: Result) -> None:
    console.print(f"verdict: [{_COLOURS[result.verdict]}]{result.verdict}[/]")
    for reason in result.reasons:
        console.print(f"  {escape(reason)}", soft_wrap=True)
