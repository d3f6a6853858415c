"""Tables of figures as a page holds them: the text to read, and the exact value beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crunchbed.checks.figures import Figures
from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import Spread, spread_of
from crunchbed.report.formatting import figure
from crunchbed.report.table import label, rows


class Cell(NamedTuple):
    """``value`` is the figure as JSON has it, ``text`` what is shown."""

    text: str
    value: float | None


class Row(NamedTuple):
    """A figure; ``part`` is set for a share of the one above."""

    name: str
    label: str
    part: bool
    cells: list[Cell]


def of_run(result: Result) -> tuple[list[str], list[Row]]:
    """Column headings and rows: the totals first, then every node."""
    each = [result.totals, *result.nodes.values()]
    found = [
        _row(name, [Cell(figure(one.value(name)), one.value(name)) for one in each])
        for name in rows(each)
    ]
    return ["total", *result.nodes], found


def of_variants(variants: Sequence[Sequence[Result]]) -> list[Row]:
    """Rows with a column for each variant: the median and the range of its valid runs."""
    valid: list[Figures] = [run.totals for runs in variants for run in runs if run.valid]
    found = []
    for name in rows(valid):
        spreads = [spread_of(runs, name) for runs in variants]
        cells = [Cell(_spread(one), None if one is None else one.median) for one in spreads]
        found.append(_row(name, cells))
    return found


def _row(name: str, cells: list[Cell]) -> Row:
    shown = label(name)
    return Row(name, shown.strip(), shown.startswith(" "), cells)


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return figure(None)
    if spread.low == spread.high:
        return figure(spread.median)
    return f"{figure(spread.median)} [{figure(spread.low)}..{figure(spread.high)}]"
