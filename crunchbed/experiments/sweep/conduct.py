"""Carries out a sweep: all points at once, or in rounds where a threshold is searched for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from crunchbed.checks.result import measured
from crunchbed.experiments.sweep.folder import SweepFolder
from crunchbed.experiments.sweep.request import Request
from crunchbed.experiments.sweep.schedule import Scheduler
from crunchbed.experiments.sweep.space import Point, trials_of
from crunchbed.experiments.sweep.summary import Found, Row, Summary, summarise
from crunchbed.experiments.sweep.threshold import Search, outcome_of
from reserve_agent.errors import BadInput


class Conductor:
    """Carries out one sweep."""

    def __init__(self, request: Request, folder: SweepFolder, scheduler: Scheduler) -> None:
        self._request = request
        self._folder = folder
        self._scheduler = scheduler
        self._rows: dict[str, Row] = {}

    def run(self) -> Summary:
        """Make the runs that are missing, and return the summary, which is written too."""
        thresholds = [] if self._request.find is None else self._search(self._request.find)
        if self._request.find is None:
            self._results(self._request.points, self._request.seeds)
        summary = Summary(
            scenario=self._request.base.name,
            seeds=self._request.seeds,
            at_once=self._scheduler.limit,
            points=tuple(summarise(self._rows.values(), self._request.figures)),
            thresholds=tuple(thresholds),
        )
        self._folder.write_summary(summary.model_dump(mode="json"))
        return summary

    def _results(self, points: Iterable[Point], seeds: Sequence[int]) -> list[Row]:
        """Results of these points; a run that is finished already is not made again."""
        trials = trials_of(self._request.base, points, seeds)
        self._scheduler.run(self._folder.missing(trials))
        rows = [(trial, self._folder.result(trial)) for trial in trials]
        self._rows |= {trial.name: (trial, result) for trial, result in rows}
        return rows

    def _search(self, figure: str) -> list[Found]:
        """Search at every point; each round makes the runs of one value of every search."""
        axis = self._request.line
        if axis.range is None:
            raise AssertionError("checked before: this axis has a range")
        searches = [
            (
                dict(point),
                Search(axis.range, self._request.tolerance, self._taking(point, axis.key)),
            )
            for point in self._request.points
        ]
        while asked := [
            (search, {**point, axis.key: value})
            for point, search in searches
            if (value := search.next()) is not None
        ]:
            rows = self._results([point for _, point in asked], self._request.seeds)
            for search, point in asked:
                search.learn(outcome_of(_values(rows, point, figure)))
        found = [Found.of(point, axis.key, figure, search.result()) for point, search in searches]
        if not self._request.confirm:
            return found
        return self._confirmed(found, [search for _, search in searches])

    def _taking(self, point: Point, key: str) -> Callable[[str], bool]:
        """Return what tells whether the scenario takes a value: it may want multiples of 4 KiB."""
        base = self._request.base

        def takes(value: str) -> bool:
            try:
                base.with_overrides({**point, key: value})
            except BadInput:
                return False
            return True

        return takes

    def _confirmed(self, found: list[Found], searches: list[Search]) -> list[Found]:
        """Confirm thresholds on further seeds, from both sides of each threshold outwards."""
        first = max(self._request.seeds) + 1
        seeds = range(first, first + self._request.confirm)
        turns = {
            number: search.edges()
            for number, (one, search) in enumerate(zip(found, searches, strict=True))
            if one.below is not None
        }
        counted: dict[int, dict[str, tuple[int, int]]] = {number: {} for number in turns}
        while asked := [
            (number, edge, {**found[number].point, found[number].key: value})
            for number, edges in turns.items()
            for edge in edges
            if (value := edge.next()) is not None
        ]:
            rows = self._results([point for *_, point in asked], seeds)
            for number, edge, point in asked:
                values = _values(rows, point, found[number].figure)
                above = sum(value > 0 for value in values)
                counted[number][point[found[number].key]] = (above, len(values))
                edge.learn(values)
        for number, (low, high) in turns.items():
            sides = {"clear_below": low.found, "clear_above": high.found}
            update = {"confirmed": counted[number], **sides}
            found[number] = found[number].model_copy(update=update)
        return found


def _values(rows: Iterable[Row], point: Point, figure: str) -> list[float]:
    """A figure in the valid runs of a point."""
    return measured((result for trial, result in rows if trial.point == point), figure)
