"""Differences between sets of runs seed by seed, how one-sided they are, and a whole comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from crunchbed.checks.figures import NAMES
from crunchbed.checks.result import Result
from crunchbed.experiments.stats.interval import LEVEL, Estimate, estimate


class Difference(BaseModel, frozen=True):
    """How a figure differs between two sets of runs, seed by seed."""

    figure: str
    first: str  # names of the two sets, such as two policies
    second: str
    difference: Estimate  # median of second - first over the seeds, in the figure's unit
    # matched-pairs rank-biserial correlation: 1 where the second is higher on every seed, -1
    # where it is lower on every one, 0 where neither prevails
    effect: float

    @property
    def sure(self) -> bool:
        """Whether the interval is on one side of 0."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """Return second - first for every seed that both have, in the order of the first."""
    return [second[seed] - value for seed, value in first.items() if seed in second]


def pair(
    figure: str, first: tuple[str, Mapping[int, float]], second: tuple[str, Mapping[int, float]]
) -> Difference | None:
    """Compare two named sets of values by seed; None where they have no seed in common."""
    found = differences(first[1], second[1])
    if not found:
        return None
    return Difference(
        figure=figure,
        first=first[0],
        second=second[0],
        difference=estimate(found),
        effect=rank_biserial(found),
    )


def rank_biserial(found: Sequence[float]) -> float:
    """Return (favourable - unfavourable rank sums) / all of them, from -1 to 1.

    Kerby 2014, "The simple difference formula". Differences of 0 have no rank.
    """
    moved = [one for one in found if one]
    if not moved:
        return 0.0
    from scipy import stats

    ranks = [float(rank) for rank in stats.rankdata([abs(one) for one in moved])]
    up = sum(rank for rank, one in zip(ranks, moved, strict=True) if one > 0)
    return (2 * up - sum(ranks)) / sum(ranks)


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
