"""Policies crossed with other settings, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crunchbed.experiments.matrix import Axis, Cell
from crunchbed.report.table import spread_cell


def print_matrix(console: Console, cells: Sequence[Cell], axis: Axis, title: str) -> None:
    """Print one row for each combination: ejections over valid runs, then median [min..max]."""
    console.print(escape(f"{title}: median [min..max]"), style="bold")
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for heading in ("policy", axis.name):
        table.add_column(heading)
    for heading in ("ejected alive", *axis.figures):
        table.add_column(heading, justify="right")
    for one in cells:
        ejected = f"{one.ejected}/{one.valid}"
        if one.valid < one.runs:
            ejected += f" ({one.runs - one.valid} invalid)"
        table.add_row(
            one.policy,
            one.setting,
            ejected,
            *(spread_cell(one.figures.get(name)) for name in axis.figures),
        )
    console.print(table)
