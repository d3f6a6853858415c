"""Rows of figures as a page has them: the text to read, and the exact value beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crunchbed.checks.figures import Figures
from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import spread_of
from crunchbed.report.table import figure, label, rows, spread


class Cell(NamedTuple):
    """One figure."""

    text: str
    value: float | None  # the figure itself; None where nothing was measured


class Row(NamedTuple):
    """One figure in every column."""

    name: str
    label: str
    part: bool  # whether the figure is a part of the one in the row above
    cells: list[Cell]  # the figure in each column


def of_run(result: Result, nodes: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Return the headings of columns and the rows of a run: its totals, then these nodes."""
    found = [name for name in nodes if name in result.nodes]  # a run that is unknown has none
    each = [result.totals, *(result.nodes[name] for name in found)]
    made = [
        _row(name, [Cell(figure(one.value(name)), one.value(name)) for one in each])
        for name in rows(each)
    ]
    return ["total", *found], made


def of_variants(variants: Sequence[Sequence[Result]]) -> list[Row]:
    """Return rows with a column for each variant: median and range over its valid runs."""
    valid: list[Figures] = [run.totals for runs in variants for run in runs if run.valid]
    found = []
    for name in rows(valid):
        spreads = [spread_of(runs, name) for runs in variants]
        cells = [Cell(spread(one), None if one is None else one.median) for one in spreads]
        found.append(_row(name, cells))
    return found


def _row(name: str, cells: list[Cell]) -> Row:
    shown = label(name)
    return Row(name, shown.strip(), shown.startswith(" "), cells)
