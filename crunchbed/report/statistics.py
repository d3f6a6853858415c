"""Differences between policies over repeated runs, as a table."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crunchbed.experiments.stats.summary import Statistics
from crunchbed.report.formatting import interval


def print_statistics(console: Console, statistics: Statistics) -> None:
    """Print the differences, paired by seed, whose interval is on one side of 0."""
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
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    table.add_column("")
    for heading in ("figure", "difference", "effect"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for one in sure:
        names = f"{one.second} - {one.first}"
        cells = (one.figure, escape(interval(one.difference)), f"{one.effect:+.2f}")
        table.add_row(names, *cells)
    console.print(table)
