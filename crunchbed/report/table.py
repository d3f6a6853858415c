"""Tables of results on a console: a run by node, and policies or settings side by side."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crunchbed.checks.figures import CAUSES, NAMES, Figures, spec_of
from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import Comparison, Repeated, Spread
from crunchbed.experiments.matrix import Axis, Cell
from crunchbed.experiments.stats.interval import Estimate
from crunchbed.experiments.stats.paired import Statistics
from crunchbed.report.scale import time_scale
from crunchbed.scenario.schema import Scenario

PIPED_COLUMNS: Final = 160
MOST_NODES: Final = 6

_COLOURS: Final = {"pass": "green", "fail": "red", "invalid": "yellow", "unknown": "yellow"}
_CAUSE_NAMES: Final = [f"misses_by_cause.{cause}" for cause in CAUSES]
_MISSED_AT: Final = NAMES.index("heartbeats_missed") + 1
_ROWS: Final = (
    *NAMES[:_MISSED_AT],
    *_CAUSE_NAMES,
    *(name for name in NAMES[_MISSED_AT:] if name not in _CAUSE_NAMES),
)


def figure(value: float | None) -> str:
    """Return a figure; ``-`` where nothing was measured."""
    if value is None:
        return "-"
    if isinstance(value, int) or value.is_integer():
        return f"{value:.0f}"
    return f"{value:.6f}" if value < 0.001 else f"{value:.4f}" if value < 1 else f"{value:.2f}"


def spread(found: Spread | None) -> str:
    """Return a median with its range; one figure where all are equal."""
    if found is None:
        return figure(None)
    if found.low == found.high:
        return figure(found.median)
    return f"{figure(found.median)} [{figure(found.low)}..{figure(found.high)}]"


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{'-' if value < 0 else '+'}{figure(abs(value))}"


def interval(found: Estimate) -> str:
    """Return a difference with its interval, where it has one."""
    if found.low is None or found.high is None:
        return signed(found.value)
    return f"{signed(found.value)} [{signed(found.low)}..{signed(found.high)}]"


def open_console(file: TextIO | None = None) -> Console:
    """Return a console for ``file``, by default stdout; plain and wide where it is no terminal."""
    target = file or sys.stdout
    width = None if target.isatty() else PIPED_COLUMNS
    return Console(file=target, width=width, highlight=False, emoji=False)


def new_table(
    console: Console, left: Iterable[str], right: Iterable[str] = (), **column: Any
) -> Table:
    """Return a table without rows; a program that reads a pipe gets columns without rules.

    Columns called ``left`` are aligned left, those called ``right`` after them right; every one
    gets the options ``column`` of rich.
    """
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for heading in left:
        table.add_column(heading, **column)
    for heading in right:
        table.add_column(heading, justify="right", **column)
    return table


def print_run(console: Console, result: Result, scenario: Scenario) -> None:
    """Print a run: its figures in total and by node, its expectations, its verdict."""
    shown, left_out = _nodes_shown(result)
    _title(console, f"{result.scenario}: policy {result.policy}, seed {result.seed}")
    _print_guests(console, [result])
    table = new_table(console, [""], ["total", *shown])
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
    console.print(f"verdict: [{_COLOURS[result.verdict]}]{result.verdict}[/]")
    for reason in result.reasons:
        console.print(f"  {escape(reason)}", soft_wrap=True)


def print_comparison(console: Console, comparison: Comparison, scenario: Scenario) -> None:
    """Print a column for each policy and a row for each figure: median and range over seeds."""
    repeats = len(comparison.seeds)
    runs = f"{repeats} seeds: median [min..max]" if repeats > 1 else f"seed {comparison.seeds[0]}"
    _title(console, f"{comparison.scenario}: {runs}")
    _print_guests(console, comparison.runs)
    pair = len(comparison.policies) == 2
    ratio_of = [" / ".join(comparison.policies)] * pair
    table = new_table(console, [""], [*comparison.policies, *ratio_of])
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


def print_statistics(console: Console, statistics: Statistics) -> None:
    """Print the differences between policies, paired by seed, whose interval does not hold 0."""
    sure = [one for one in statistics.differences if one.sure]
    if not sure:
        return
    level = f"{statistics.level:.0%}"
    console.print(
        f"differences, paired by seed: median [{level} bootstrap interval], and effect "
        "from -1 (lower on every seed) to +1 (higher on every seed)",
        style="bold",
        soft_wrap=True,
        markup=False,
    )
    table = new_table(console, ["", "figure"], ["difference", "effect"])
    for one in sure:
        names = f"{one.second} - {one.first}"
        cells = (one.figure, escape(interval(one.difference)), f"{one.effect:+.2f}")
        table.add_row(names, *cells)
    console.print(table)


def print_matrix(console: Console, cells: Sequence[Cell], axis: Axis, title: str) -> None:
    """Print one row for each combination: ejections over valid runs, then median [min..max]."""
    _title(console, f"{title}: median [min..max]")
    table = new_table(console, ["policy", axis.name], ["ejected alive", *axis.figures])
    for one in cells:
        ejected = f"{one.ejected}/{one.valid}{invalid_runs(one.runs, one.valid)}"
        spreads = (spread_cell(one.figures.get(name)) for name in axis.figures)
        table.add_row(one.policy, one.setting, ejected, *spreads)
    console.print(table)


def invalid_runs(runs: int, valid: int) -> str:
    """Return how many of the runs are not valid, in words that follow a count; none: empty."""
    return f" ({runs - valid} invalid)" if valid < runs else ""


def _title(console: Console, text: str) -> None:
    console.print(escape(text), style="bold")


def _print_guests(console: Console, runs: Iterable[Result]) -> None:
    """Print which kernels and cards nodes had that are machines, or by which profiles they went."""
    found = dict.fromkeys(f"{run.kernel} with {run.nic}" for run in runs if run.kernel and run.nic)
    profiles = [one for one in found if one.startswith("profile ")]
    kernels = [f"Linux {one}" for one in found if one not in profiles]
    for what, each in (("machines", kernels), ("memory", profiles)):
        if each:
            console.print(f"{what}: {escape('; '.join(each))}", soft_wrap=True)


def rows(each: Iterable[Figures]) -> list[str]:
    """Return the names of the figures that have a row in a table of these columns."""
    found = list(each)

    def worth(name: str) -> bool:
        values = [one.value(name) for one in found]
        match spec_of(name).row:
            case "measured":
                return any(value is not None for value in values)
            case "happened":
                return any(values)
            case "always":
                return True

    return [name for name in _ROWS if worth(name)]


def label(name: str) -> str:
    """Return the name of a figure's row; the name of a part is indented."""
    head, _, tail = name.partition(".")
    return f"  {tail}" if tail else head


def _nodes_shown(result: Result) -> tuple[list[str], int]:
    """The nodes to print, and how many others there are: of a large cluster those with an event."""
    nodes = list(result.nodes)
    if len(nodes) <= MOST_NODES:
        return nodes, 0
    shown = telling(result)[:MOST_NODES]
    return shown, len(nodes) - len(shown)


def telling(result: Result) -> list[str]:
    """Return the nodes with an event to tell of: first those to which something was done."""
    hit = [n for n, one in result.nodes.items() if one.nodes_ejected or one.pressure_episodes]
    others = [n for n, one in result.nodes.items() if one.heartbeats_missed or one.io_errors]
    return list(dict.fromkeys([*hit, *others]))


def spread_cell(found: Spread | None) -> str:
    """Return a median with its range as a cell."""
    return escape(spread(found))


def _ratio(name: str, spreads: list[Spread | None]) -> str:
    first, second = spreads
    if not spec_of(name).outcome or first is None or second is None:
        return ""
    if not first.median or not second.median or first.median == second.median:
        return ""
    return f"{first.median / second.median:.3g}x"


def _verdicts(runs: list[Result]) -> str:
    return ", ".join(
        f"[{_COLOURS[name]}]{name}[/]{f' {count}/{len(runs)}' if len(runs) > 1 else ''}"
        for name, count in Counter(run.verdict for run in runs).items()
    )


def _mark(holds: bool | None) -> str:
    return {True: "[green]holds[/]  ", False: "[red]fails[/]  ", None: "[yellow]unknown[/]"}[holds]


def _expectation(repeated: Repeated) -> str:
    if not repeated.runnable:
        return f"not run  {escape(repeated.text)}"
    of = len(repeated.outcomes)
    why = f"{repeated.held}/{of}" if of > 1 else repeated.outcomes[0].shown or "no valid run"
    return f"{_mark(repeated.holds)}  {escape(repeated.text)}  ({why})"
