"""Policies crossed with flag settings on the same seeds: what each combination saves."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from crunchbed.checks.result import Result
from crunchbed.comparison import Spread, spread_of
from reserve_agent.policies import MEMALLOC_CLASSES

SETTINGS: dict[str, tuple[str, ...]] = {
    "none": (),
    **{name: (name,) for name in MEMALLOC_CLASSES},
    "both": MEMALLOC_CLASSES,
}
"""Names of the flag settings, and the classes whose sockets are memalloc in each."""


class Cell(BaseModel):
    """One policy with one flag setting, over all seeds.

    Attributes:
        policy: As in the scenario.
        setting: A name of ``SETTINGS``.
        runs: How many were made, and
        valid: how many of them say something.
        ejected: In how many valid runs a live node was ejected.
        figures: Median and range of other figures, by result name.
    """

    model_config = ConfigDict(frozen=True)

    policy: str
    setting: str
    runs: int
    valid: int
    ejected: int
    figures: dict[str, Spread]


SHOWN = (
    "heartbeats_missed",
    "io_longest_stall_seconds",
    "pressure_seconds",
    "reserve_low_water_pages",
    "writes_lost",
)


def cell(policy: str, setting: str, results: Sequence[Result]) -> Cell:
    """Sum up the runs of one combination."""
    valid = [result for result in results if result.valid]
    spreads = {name: spread_of(results, name) for name in SHOWN}
    figures = {name: spread for name, spread in spreads.items() if spread is not None}
    ejected = sum(result.totals.false_ejections > 0 for result in valid)
    return Cell(
        policy=policy,
        setting=setting,
        runs=len(results),
        valid=len(valid),
        ejected=ejected,
        figures=figures,
    )
