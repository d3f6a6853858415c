"""The runs of cells: those that are there are taken, the others are made."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from crunchbed.archive.rejudge import scenario_of
from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.experiments.agreement.asked import Asked, Column
from crunchbed.experiments.agreement.cell import Cell, Observed, observed
from crunchbed.experiments.attempts import attempt, set_aside
from crunchbed.history.damaged import blamed_on
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

HISTORY: Final = "history.jsonl"
RESULT: Final = "result.json"
_OF_CLAIM: Final = ("claim", "source", "steady", "expect")
"""Keys of a scenario that change no run, but what is thought of it."""


class Watch(Protocol):
    """Who is told of the runs that are made."""

    def begins(self, asked: Asked, column: Column) -> None:
        """A run begins."""

    def ended(self, asked: Asked, column: Column) -> None:
        """The run that began last has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Where the runs of cells are, and which of them are made.

    Attributes:
        out: Directory of all cells.
        columns: What each cell is run on.
        again: Backends whose runs are made again although they are there.
        recorded: Backends on which no run is made: what is there is taken as it is.
        quiet: Whether runs show no progress of their own.
    """

    out: Path
    columns: Sequence[Column]
    again: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()
    quiet: bool = False

    def to_make(self, asked: Asked) -> list[Column]:
        """Return on what the cell is still to be run."""
        return [
            column
            for column in self.columns
            if column.backend not in self.recorded
            and column.refuses(asked.scenario) is None
            and (column.backend in self.again or not _is_known(self._place(asked, column)))
        ]

    def can_compare(self, asked: Asked) -> bool:
        """Whether no recorded run is wanted that is not there."""
        there = [
            column.backend not in self.recorded or (self._place(asked, column) / RESULT).exists()
            for column in self.columns
            if column.refuses(asked.scenario) is None
        ]
        return all(there)

    def cell(self, asked: Asked, watch: Watch) -> Cell:
        """Make the runs of a cell that are to be made, and hold all against each other.

        Where ``can_compare`` says so.

        Raises:
            BadInput: A run that is there already is of other settings.
        """
        to_make = self.to_make(asked)
        runs: list[Observed] = []
        refused: dict[str, str] = {}
        for column in self.columns:
            if (why := column.refuses(asked.scenario)) is not None:
                refused[column.name] = why
                continue
            if column in to_make:
                watch.begins(asked, column)
                self._make(asked, column)
                watch.ended(asked, column)
            runs.append(self._observe(asked, column))
        scenario = asked.scenario
        return Cell(
            scenario=asked.name,
            policy=scenario.policy,
            flags=scenario.memalloc,
            nic=asked.nic,
            seed=asked.seed,
            judged=bool(scenario.expect or scenario.steady),
            runs=tuple(runs),
            refused=refused,
            interval_seconds=scenario.heartbeat.interval / 1e9,
        )

    def _place(self, asked: Asked, column: Column) -> Path:
        return self.out / asked.place / column.folder

    def _make(self, asked: Asked, column: Column) -> None:
        """Make a run; one that is there is set aside, or gone where it is to be made again."""
        place, scenario = self._place(asked, column), column.of(asked.scenario)
        if place.exists() and column.backend in self.again:
            shutil.rmtree(place)
        elif (place / RESULT).exists():
            set_aside(place, "disturbed")
        elif place.exists():
            set_aside(place, "ended")
        result = attempt(scenario, asked.seed, place, quiet=self.quiet)
        if not (place / RESULT).exists():
            place.mkdir(parents=True, exist_ok=True)
            result.write(place / RESULT)

    def _observe(self, asked: Asked, column: Column) -> Observed:
        """Return what a run came to, judged by what the scenario expects now."""
        place, scenario = self._place(asked, column), column.of(asked.scenario)
        if not (place / HISTORY).exists():
            result = Result.read(place / RESULT)
            return Observed(backend=column.name, verdict="invalid", reasons=result.reasons)
        if key := _other_key(scenario_of(place), scenario):
            raise BadInput(f"{place}: expected a run of the same {key}; choose another --out")
        with blamed_on(place / HISTORY):
            history = History.read(place / HISTORY)
            return observed(column.name, history, scenario, judge(history, scenario))


def _is_known(place: Path) -> bool:
    """Whether a run is there that need not be made again: it ended, and is not invalid."""
    if not ((place / RESULT).exists() and (place / HISTORY).exists()):
        return False
    return Result.read(place / RESULT).verdict != "invalid"


def _other_key(one: Scenario, other: Scenario) -> str | None:
    """Return a key by which two scenarios are other runs; None where they are the same."""
    mine, its = one.resolved(), other.resolved()
    return next(
        (key for key in {**mine, **its} if key not in _OF_CLAIM and mine.get(key) != its.get(key)),
        None,
    )
