"""What a sweep found, on a console: a row for each point, a line for each threshold."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from crunchbed.experiments.sweep.quantity import size_of
from crunchbed.experiments.sweep.summary import Found, Summary
from crunchbed.report.table import invalid_runs, new_table, spread_cell


def print_sweep(console: Console, summary: Summary, figures: Sequence[str]) -> None:
    """Print a row for each point, then a line for each threshold."""
    seeds = f"{len(summary.seeds)} seed{'s' if len(summary.seeds) > 1 else ''}"
    console.print(escape(f"{summary.scenario}: {seeds}, median [min..max]"), style="bold")
    keys = list(dict.fromkeys(key for one in summary.points for key in one.point))
    table = new_table(console, keys, ["ejecting", "ejected alive", *figures])
    for one in summary.points:
        table.add_row(
            *(escape(one.point.get(key, "")) for key in keys),
            f"{one.ejecting}/{one.valid}{invalid_runs(one.runs, one.valid)}",
            f"{one.ejecting_alive}/{one.valid}",
            *(spread_cell(one.figures.get(name)) for name in figures),
        )
    console.print(table)
    for found in summary.thresholds:
        console.print(escape(threshold_line(found)), highlight=False, soft_wrap=True)


def threshold_line(found: Found) -> str:
    """Return in one line what a search found."""
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
    """What the confirming runs say: where all agree, and in how many it is above 0 in between."""
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
