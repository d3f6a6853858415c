"""Summary of a sweep: the runs of each point together, and the thresholds that were found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from pydantic import BaseModel

from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import Spread, runs_with, spreads_of
from crunchbed.experiments.sweep.space import Trial
from crunchbed.experiments.sweep.threshold import Threshold

Row = tuple[Trial, Result]


class PointSummary(BaseModel, frozen=True):
    """The runs of one point."""

    point: dict[str, str]  # values by key
    runs: int
    valid: int
    ejecting: int  # number of valid runs that ejected a node
    ejecting_alive: int  # number of valid runs that ejected a live node
    figures: dict[str, Spread]  # median and range of figures, by name


def summarise(rows: Iterable[Row], figures: Sequence[str]) -> list[PointSummary]:
    """Return a summary for each point, in the order of the points' first runs."""
    by_point: dict[tuple[tuple[str, str], ...], list[Result]] = {}
    for trial, result in rows:
        by_point.setdefault(tuple(trial.point.items()), []).append(result)
    return [
        PointSummary(
            point=dict(point),
            runs=len(results),
            valid=sum(result.valid for result in results),
            ejecting=runs_with(results, "nodes_ejected"),
            ejecting_alive=runs_with(results, "false_ejections"),
            figures=spreads_of(results, figures),
        )
        for point, results in by_point.items()
    ]


class Found(BaseModel, frozen=True):
    """A threshold, and the runs that confirm it."""

    point: dict[str, str]  # values of the other axes
    key: str  # along which the search went
    figure: str
    below: str | None  # as in ``Threshold``
    above: str | None
    rises: bool | None
    reason: str | None  # why there is no threshold
    # By value, how many of how many valid further runs have the figure above 0. The values go
    # from ``below`` and ``above`` outwards, until all runs of a value agree.
    confirmed: dict[str, tuple[int, int]] = {}
    # The values at which all agree; None: not asked for, or nowhere in the range.
    clear_below: str | None = None
    clear_above: str | None = None

    @classmethod
    def of(cls, point: dict[str, str], key: str, figure: str, found: Threshold) -> Found:
        """Return what a search has found at a point."""
        return cls(point=point, key=key, figure=figure, **asdict(found))


class Summary(BaseModel, frozen=True):
    """The summary of a sweep, as ``summary.json`` has it."""

    scenario: str
    seeds: tuple[int, ...]
    at_once: int
    points: tuple[PointSummary, ...]
    thresholds: tuple[Found, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every run is valid."""
        return all(one.valid == one.runs for one in self.points)
