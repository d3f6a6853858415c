"""Runs as a test sees them, and what makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.checks.figures import NAMES, PHASE_NAMES, PHASES, Figures
from crunchbed.checks.result import Result
from crunchbed.expect import Outcome, evaluate
from crunchbed.experiments.attempts import attempt
from crunchbed.history.history import History
from crunchbed.scenario.loader import load
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, MissingRequirement, RunInvalid


@dataclass(frozen=True)
class PytestRun:
    """One judged run; ``run["io_p99_seconds"]`` is a figure of its totals, in seconds."""

    scenario: Scenario  # as it was run
    result: Result
    directory: Path  # where its history and logs are

    @property
    def verdict(self) -> str:
        """``pass`` or ``fail``; a run that is neither does not come to a test."""
        return self.result.verdict

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it failed."""
        return self.result.reasons

    @property
    def totals(self) -> Figures:
        """Figures over all nodes."""
        return self.result.totals

    @property
    def nodes(self) -> Mapping[str, Figures]:
        """Figures of each node, by its name."""
        return self.result.nodes

    @property
    def label(self) -> str:
        """Scenario, policy and seed."""
        return f"{self.scenario.name}, {self.scenario.policy}, seed {self.result.seed}"

    @cached_property
    def history(self) -> History:
        """What was recorded."""
        return History.read(self.directory / "history.jsonl")

    def __getitem__(self, figure: str) -> float | None:
        """Return a figure of the totals, such as ``misses_by_cause.link``, or of a phase."""
        phase, _, rest = figure.partition(".")
        if figure not in NAMES and not (phase in PHASES and rest in PHASE_NAMES):
            raise KeyError(figure)
        return self.totals.value(figure)

    def expect(self, text: str) -> Outcome:
        """Judge an expectation: ``run.expect("io_errors == 0")``; BadInput where it is none."""
        policy = self.scenario.policy
        return evaluate([text], {policy: self.totals}, {policy: self.nodes})[0]


class Runner:
    """Makes runs in ``parent``, each only once in a session; ``seen`` gets every run of a test."""

    def __init__(self, parent: Path, seen: Callable[[PytestRun], None] | None = None) -> None:
        self._parent = parent
        self._seen = seen
        self._made: dict[str, PytestRun] = {}

    def for_test(self, seen: Callable[[PytestRun], None]) -> Runner:
        """Return one for a single test; it shares what has been made."""
        runner = Runner(self._parent, seen)
        runner._made = self._made
        return runner

    def __call__(
        self,
        name: str,
        *,
        policy: str | None = None,
        memalloc: tuple[str, ...] | list[str] | None = None,
        seed: int = 1,
        settings: Mapping[str, object] | None = None,
    ) -> PytestRun:
        """Make a run, or return the one that was made before.

        ``name`` is a shipped scenario or a YAML file; the rest, such as ``settings`` by dotted key,
        replaces what the scenario says.

        Raises:
            BadInput: the scenario or a setting is wrong.
            RunInvalid: the run says nothing, however often it was made.
        """
        changes: dict[str, Any] = dict(settings or {})
        changes |= {} if policy is None else {"policy": policy}
        changes |= {} if memalloc is None else {"memalloc": list(memalloc)}
        scenario = load(name).with_overrides(changes)
        key = hashlib.sha256(orjson.dumps([scenario.resolved(), seed])).hexdigest()
        if key not in self._made:
            self._made[key] = self._run(scenario, seed, key)
        run = self._made[key]
        if self._seen is not None:
            self._seen(run)
        if not run.result.valid:
            raise RunInvalid(f"{run.label}: {run.verdict}: {'; '.join(run.reasons)}")
        return run

    def _run(self, scenario: Scenario, seed: int, key: str) -> PytestRun:
        place = self._parent / f"{scenario.name[:150]}-{scenario.policy}-{seed}-{key[:8]}"
        if place.exists():
            raise BadInput(f"{place}: is there already; give another --crunchbed-runs")
        try:
            return PytestRun(scenario, attempt(scenario, seed, place), place)
        except MissingRequirement as error:
            pytest.skip(str(error))
