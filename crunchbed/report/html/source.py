"""Reads runs and comparisons from their directories; figures are computed from histories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from crunchbed.archive.rejudge import runs_in, scenario_of
from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.history.damaged import blamed_on
from crunchbed.history.history import History
from crunchbed.report.time_axis import TimeAxis, node_and_zero
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.run import RunInfo
from reserve_agent.errors import BadInput

HISTORY: Final = "history.jsonl"
_SCENARIO: Final = "scenario.json"
_RESULT: Final = "result.json"
_SEED: Final = re.compile(r"-(\d+)$")


@dataclass(frozen=True)
class Recorded:
    """One run: what was asked for, what was recorded, and what follows from it."""

    label: str  # what the run is called among others, such as its policy
    scenario: Scenario  # as resolved for the run
    history: History  # what was recorded; empty for a run that ended before it measured anything
    result: Result  # what the history was judged to

    @cached_property
    def info(self) -> RunInfo:
        """What the run says of itself; an empty one where the run ended too early for that."""
        return next(iter(self.history.of(RunInfo)), RunInfo())

    @cached_property
    def target(self) -> str:
        """The node that its pictures are about."""
        return self._node_and_zero[0]

    @cached_property
    def axis(self) -> TimeAxis:
        """The time axis of its pictures."""
        return TimeAxis(self._node_and_zero[1])

    @cached_property
    def _node_and_zero(self) -> tuple[str, int]:
        return node_and_zero(self.history, self.scenario.node_names)


def is_run(directory: Path) -> bool:
    """Return whether this is the directory of one run, rather than of several."""
    return (directory / _SCENARIO).exists() or (directory / HISTORY).exists()


def read_run(directory: Path, label: str | None = None) -> Recorded:
    """Read and judge one run; BadInput where there is no history, or a file cannot be read."""
    scenario = scenario_of(directory)
    if not (directory / HISTORY).exists():
        raise BadInput(f"{directory}: has no {HISTORY}: this run ended before it was complete")
    with blamed_on(directory / HISTORY):
        history = History.read(directory / HISTORY)
        return Recorded(label or scenario.policy, scenario, history, judge(history, scenario))


def read_runs(directory: Path) -> Iterator[Recorded]:
    """Read the runs of a comparison in the order in which they were made, without disturbed ones.

    A run without a history takes part as one that measured nothing; of its ``result.json`` only the
    reasons count. BadInput: there is no run in the directory, or one cannot be read.
    """
    for path in _directories_of_runs(directory):
        label, seed = _named(path.name)
        if (path / HISTORY).exists():
            yield read_run(path, label)
        else:
            scenario = scenario_of(path)
            result = Result.not_measured(scenario, seed, _why_none(path / _RESULT))
            yield Recorded(label, scenario, History(()), result)


def _why_none(path: Path) -> str:
    """Why a run left no history, as far as its ``result.json`` says so."""
    why = "it left no history"
    try:
        found = Result.read(path)
    except BadInput:  # a run that was killed has none
        return why
    told = "; ".join(found.reasons)
    return f"{why}: {told}" if told and found.verdict == "invalid" else why


def _directories_of_runs(directory: Path) -> Sequence[Path]:
    if not directory.is_dir():
        raise BadInput(f"{directory}: expected the directory of a run or of a comparison")
    found = runs_in(directory)
    if not found:
        raise BadInput(f"{directory}: expected a run (with a {HISTORY}) or a directory of runs")
    # In the order in which they were made: a comparison shows its policies as they were given.
    return sorted(found, key=lambda path: ((path / _SCENARIO).stat().st_mtime_ns, path.name))


def _named(name: str) -> tuple[str, int]:
    """Label and seed in a directory's name: ``memalloc-both-7`` is ``memalloc-both``, seed 7."""
    found = _SEED.search(name)
    return (name[: found.start()], int(found[1])) if found else (name, 0)
