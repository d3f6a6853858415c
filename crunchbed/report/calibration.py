"""A calibration as a table for people and as a record for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from crunchbed.calibrate.profile import Compared, figure, shown
from crunchbed.report.table import new_table
from reserve_agent.model.profiles.record import written

_UNITS: Final = {"late_drops": " frames"}


def print_calibration(
    console: Console, title: str, found: Sequence[Compared], profile: str, shipped: int
) -> None:
    """Print every measured constant beside what the profile says.

    Args:
        console: Where to.
        title: Kernel and card.
        found: What was measured.
        profile: What the constants are held against.
        shipped: How many constants of the profile were not measured.
    """
    console.print(escape(title), style="bold", soft_wrap=True)
    table = new_table(console, ["constant", "measured", "repeats", profile, ""])
    for one in found:
        constant = one.constant
        table.add_row(
            constant.key,
            shown(constant.value),
            escape(repeats(constant.seen)),
            shown(one.expected),
            "[red]contradicts[/]" if one.contradicts else "agrees",
        )
    console.print(table)
    console.print(f"{shipped} more constants were not measured and are those of {escape(profile)}")


def repeats(seen: Sequence[float | str]) -> str:
    """Return what repeats found: each value once, with a count, or the range of numbers."""
    distinct = list(dict.fromkeys(figure(one) for one in seen))
    if len(distinct) == 1:
        return f"{distinct[0]} ({len(seen)} of {len(seen)})"
    if isinstance(seen[0], str):
        return ", ".join(f"{one} ({seen.count(one)} of {len(seen)})" for one in distinct)
    numbers = [one for one in seen if not isinstance(one, str)]
    return f"{figure(min(numbers))}..{figure(max(numbers))} ({len(seen)})"


def record_of(found: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the same as JSON has it."""
    return [
        {
            "constant": one.constant.key,
            "value": written(one.constant.value),
            "seen": list(one.constant.seen),
            "expected": written(one.expected),
            "contradicts": one.contradicts,
            "measured_by": one.constant.note,
        }
        for one in found
    ]
