"""What a sweep's runs say together: one row for each point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import Spread, runs_with, spreads_of
from crunchbed.experiments.sweep.threshold import Threshold
from crunchbed.experiments.sweep.trial import Trial

Row = tuple[Trial, Result]


class PointSummary(BaseModel):
    """The runs of one point.

    Attributes:
        point: Values by key.
        runs: How many were made, and
        valid: how many of them say something.
        ejecting: In how many valid runs a node was ejected, and
        ejecting_alive: in how many one that was alive.
        figures: Median and range, by result name.
    """

    model_config = ConfigDict(frozen=True)

    point: dict[str, str]
    runs: int
    valid: int
    ejecting: int
    ejecting_alive: int
    figures: dict[str, Spread]


def summarise(rows: Iterable[Row], figures: Sequence[str]) -> list[PointSummary]:
    """One summary for each point, in the order of the points' first runs."""
    by_point: dict[tuple[tuple[str, str], ...], list[Result]] = {}
    for trial, result in rows:
        by_point.setdefault(tuple(trial.point.items()), []).append(result)
    return [_of(dict(point), results, figures) for point, results in by_point.items()]


def _of(point: dict[str, str], results: list[Result], figures: Sequence[str]) -> PointSummary:
    return PointSummary(
        point=point,
        runs=len(results),
        valid=sum(result.valid for result in results),
        ejecting=runs_with(results, "nodes_ejected"),
        ejecting_alive=runs_with(results, "false_ejections"),
        figures=spreads_of(results, figures),
    )


class Found(BaseModel):
    """A threshold, and the runs that confirm it.

    Attributes:
        point: The other axes' values.
        key: Along which it was looked for, and
        figure: of what.
        below, above: The last value on the one side, the first on the other; None: no threshold.
        rises: Whether the figure is above 0 from ``above`` on, or up to ``below``.
        reason: Why there is none.
        confirmed: Further runs with the figure above 0, and valid ones, by value: from ``below``
            and from ``above`` away from the turn, until all of a value's agree.
        clear_below, clear_above: Where they do; in between it is a matter of chance. None: not
            asked for, or nowhere in the range.
    """

    model_config = ConfigDict(frozen=True)

    point: dict[str, str]
    key: str
    figure: str
    below: str | None
    above: str | None
    rises: bool | None
    reason: str | None
    confirmed: dict[str, tuple[int, int]] = {}
    clear_below: str | None = None
    clear_above: str | None = None

    @classmethod
    def of(cls, point: dict[str, str], key: str, figure: str, found: Threshold) -> Found:
        """What a search found at a point."""
        return cls(
            point=point,
            key=key,
            figure=figure,
            below=found.below,
            above=found.above,
            rises=found.rises,
            reason=found.reason,
        )


class Summary(BaseModel):
    """All of a sweep, as ``summary.json`` has it."""

    model_config = ConfigDict(frozen=True)

    scenario: str
    seeds: tuple[int, ...]
    at_once: int
    points: tuple[PointSummary, ...]
    thresholds: tuple[Found, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every run says something."""
        return all(one.valid == one.runs for one in self.points)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return self.model_dump(mode="json")
