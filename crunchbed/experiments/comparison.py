"""Compares runs of several policies on the same scenario and seeds; judges its expectations."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from crunchbed.checks.result import EXIT_CODES, Result, measured
from crunchbed.expect import Outcome, evaluate, parse
from crunchbed.experiments.stats.paired import Statistics, statistics_of
from crunchbed.scenario.schema import Scenario


class Spread(NamedTuple):
    """A figure over several runs, in the figure's unit."""

    median: float
    low: float
    high: float


def spread_of(runs: Sequence[Result], figure: str) -> Spread | None:
    """Return a figure of the totals over the valid runs; None where none of them measured it."""
    known = measured(runs, figure)
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known))


def spreads_of(runs: Sequence[Result], figures: Iterable[str]) -> dict[str, Spread]:
    """Return those figures over the valid runs, without what none of them measured."""
    found = {figure: spread_of(runs, figure) for figure in figures}
    return {figure: spread for figure, spread in found.items() if spread is not None}


def runs_with(runs: Iterable[Result], figure: str) -> int:
    """Return in how many valid runs a figure of the totals is above 0."""
    return sum(value > 0 for value in measured(runs, figure))


class Repeated(BaseModel, frozen=True):
    """One expectation over all seeds."""

    text: str
    # whether it holds on every seed; None where no seed refutes it, but on some it is not known
    holds: bool | None
    runnable: bool  # whether every policy that it names was run
    held: int  # on how many seeds it holds
    outcomes: tuple[Outcome, ...]  # what became of it on each seed


class Comparison(BaseModel, frozen=True):
    """Runs of several policies together; it has statistics where there is more than one seed."""

    scenario: str
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    expectations: tuple[Repeated, ...]
    statistics: Statistics | None = None
    runs: tuple[Result, ...]

    @property
    def exit_code(self) -> int:
        """1 where something failed, else 3 where something is not known, else 0."""
        verdicts = {run.verdict for run in self.runs}
        judged = [one.holds for one in self.expectations if one.runnable]
        if "fail" in verdicts or False in judged:
            return EXIT_CODES["fail"]
        return EXIT_CODES["unknown" if verdicts != {"pass"} or None in judged else "pass"]

    def of(self, policy: str) -> list[Result]:
        """Return the runs of one policy."""
        return [run for run in self.runs if run.policy == policy]

    def spread(self, policy: str, figure: str) -> Spread | None:
        """Return a figure of a policy's totals over its valid runs; None where it has none."""
        return spread_of(self.of(policy), figure)


def compare(scenario: Scenario, runs: Sequence[Result]) -> Comparison:
    """Compare runs that differ in policy and seed; to an expectation only valid runs exist."""
    policies = tuple(dict.fromkeys(run.policy for run in runs))
    seeds = tuple(dict.fromkeys(run.seed or 0 for run in runs))
    return Comparison(
        scenario=scenario.name,
        policies=policies,
        seeds=seeds,
        expectations=tuple(_repeat(text, runs, policies, seeds) for text in scenario.expect),
        statistics=statistics_of(runs) if len(seeds) > 1 else None,
        runs=tuple(runs),
    )


def _repeat(
    text: str, runs: Sequence[Result], policies: Sequence[str], seeds: Sequence[int]
) -> Repeated:
    outcomes = []
    for seed in seeds:
        same = [run for run in runs if (run.seed or 0) == seed]
        totals = {run.policy: run.totals for run in same if run.valid}
        nodes = {run.policy: run.nodes for run in same if run.valid}
        outcome = evaluate([text], totals, nodes)[0]
        if parse(text).unqualified and len(totals) < len(same) and outcome.holds:
            outcome = outcome.model_copy(update={"holds": None})
        outcomes.append(outcome)
    verdicts = [outcome.holds for outcome in outcomes]
    return Repeated(
        text=text,
        holds=False if False in verdicts else None if None in verdicts else True,
        runnable=parse(text).policies <= set(policies),
        held=verdicts.count(True),
        outcomes=tuple(outcomes),
    )
