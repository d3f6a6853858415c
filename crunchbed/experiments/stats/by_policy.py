"""Statistics of a comparison: every figure of every policy, and differences to the first one."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from crunchbed.checks.figures import NAMES
from crunchbed.checks.result import Result
from crunchbed.experiments.stats.interval import LEVEL, Estimate, estimate
from crunchbed.experiments.stats.paired import Difference, pair


class Statistics(BaseModel, frozen=True):
    """Over the valid runs of a comparison."""

    level: float = LEVEL
    figures: dict[str, dict[str, Estimate]]  # median and interval, by policy and figure
    differences: tuple[Difference, ...]  # of every other policy from the first one, paired by seed


def by_seed(runs: Sequence[Result], policy: str, figure: str) -> dict[int, float]:
    """Return a figure of a policy's valid runs that measured it, by seed."""
    found = (
        (run.seed or 0, run.totals.value(figure))
        for run in runs
        if run.policy == policy and run.valid
    )
    return {seed: value for seed, value in found if value is not None}


def statistics_of(runs: Sequence[Result]) -> Statistics:
    """Return the statistics of runs of one scenario that differ in policy and seed."""
    policies = tuple(dict.fromkeys(run.policy for run in runs))
    values = {p: {name: by_seed(runs, p, name) for name in NAMES} for p in policies}
    found = (
        pair(name, (policies[0], values[policies[0]][name]), (policy, values[policy][name]))
        for policy in policies[1:]
        for name in NAMES
    )
    return Statistics(
        figures={
            policy: {
                name: estimate(list(seeds.values())) for name, seeds in figures.items() if seeds
            }
            for policy, figures in values.items()
        },
        differences=tuple(one for one in found if one is not None),
    )
