"""Whether runs are worse than a baseline's on the same seeds, beyond what noise explains.

A figure is worse only when the whole bootstrap interval of its paired difference is beyond its
margin: a one-sided test for inferiority by a margin. Since many figures are compared, the level of
each is Bonferroni's share of 5 %.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from pydantic import BaseModel

from crunchbed.checks.figures import ALL_NAMES, PHASES, RARE, Worse, spec_of
from crunchbed.checks.result import Result
from crunchbed.experiments.stats.interval import LEAST, Estimate, estimate
from crunchbed.experiments.stats.paired import by_seed, differences, rank_biserial

ALPHA: Final = 0.05  # share of comparisons that may find a regression where nothing has changed
FAILED: Final = "runs_failed"  # the share of runs whose verdict is fail; no result has it
LATENESS: Final = "testbed_late_seconds"  # how late the testbed's own processes woke
TOLERANCE: Final = 0.25  # share of the baseline's middle that a figure may get worse by
Verdict = Literal["worse", "better", "same"]
Values = Mapping[int, float]  # by seed


class Compared(BaseModel, frozen=True):
    """One figure of one policy, then and now."""

    policy: str
    figure: str
    before: float  # median or mean over the seeds that both sets of runs have, as ``now``
    now: float
    difference: Estimate  # of now - before by seed; its level is that of one figure of many
    margin: float  # how much worse is no regression, in the figure's unit
    effect: float  # rank-biserial correlation, from -1 to 1; above 0 where now is higher
    verdict: Verdict  # what follows from difference and margin


def regressions(
    baseline: Sequence[Result],
    now: Sequence[Result],
    *,
    tolerance: float,
    only: Iterable[tuple[str, str]] | None = None,
) -> list[Compared]:
    """Compare every figure that can get worse, of every policy with ``LEAST`` pairs of valid runs.

    Runs are paired by seed; of ``only`` these pairs of policy and figure, where it is given.
    ``tolerance`` is the share of the baseline's middle by which a figure may get worse.
    """
    wanted = None if only is None else set(only)
    pairs = [
        pair for pair in _pairs(baseline, now) if wanted is None or (pair[0], pair[1]) in wanted
    ]
    level = 1 - 2 * ALPHA / max(1, len(pairs))  # two-sided intervals, of which one side counts
    return [
        _compare(*one, level=level, tolerance=tolerance, late=lateness(now, one[0], one[1]))
        for one in pairs
    ]


def margin(
    worse: Worse, baseline: Sequence[float], middle: float, tolerance: float, late: float = 0.0
) -> float:
    """Return how much worse is still no regression, in the figure's unit.

    It is the largest of the figure's floor, of ``tolerance`` times the baseline's ``middle``, and,
    for a figure whose median is compared, of how much worse than the middle the baseline's own
    worst run was. For a figure that a busy machine makes worse it is twice ``late`` (seconds) at
    least: a write waits for two processes of the testbed, its target and its initiator.
    """
    allowed = max(worse.floor, tolerance * abs(middle))
    if worse.late:
        allowed = max(allowed, 2 * late)
    if worse.centre == "mean":
        return allowed
    return max(allowed, max(worse.sign * value for value in baseline) - worse.sign * middle)


def lateness(runs: Sequence[Result], policy: str, figure: str = LATENESS) -> float:
    """Return how late the testbed's own processes woke, in seconds; 0 where no run measured it.

    It is the median over a policy's runs of each run's longest lateness; in the phase of
    ``figure``, where that is a figure of a phase.
    """
    phase = figure.rpartition(".")[0]
    name = f"{phase}.{LATENESS}" if phase in PHASES else LATENESS
    known = _known(runs, policy, name).values()
    return statistics.median(known) if known else 0.0


def valid_pairs(baseline: Sequence[Result], now: Sequence[Result], policy: str) -> int:
    """Return on how many seeds a policy has a valid run in both."""
    return len(_verdicts(baseline, policy).keys() & _verdicts(now, policy).keys())


def _pairs(
    baseline: Sequence[Result], now: Sequence[Result]
) -> Iterator[tuple[str, str, Worse, Values, Values]]:
    for policy in dict.fromkeys(run.policy for run in baseline):
        if valid_pairs(baseline, now, policy) < LEAST:
            continue
        yield policy, FAILED, RARE, _verdicts(baseline, policy), _verdicts(now, policy)
        for figure in ALL_NAMES:
            worse = spec_of(figure).worse
            if worse is None:
                continue
            before, after = _known(baseline, policy, figure), _known(now, policy, figure)
            if len(before.keys() & after.keys()) >= LEAST:
                yield policy, figure, worse, before, after


def _verdicts(runs: Sequence[Result], policy: str) -> dict[int, float]:
    mine = [run for run in runs if run.policy == policy and run.valid]
    return {run.seed or 0: float(run.verdict == "fail") for run in mine}


def _known(runs: Sequence[Result], policy: str, figure: str) -> dict[int, float]:
    """A figure by seed, without the runs of a version that did not know the figure yet."""
    head = figure.partition(".")[0]
    knowing = [run for run in runs if head in PHASES or head in run.totals.model_fields_set]
    return by_seed(knowing, policy, figure)


def _compare(
    policy: str,
    figure: str,
    worse: Worse,
    before: Values,
    after: Values,
    *,
    level: float,
    tolerance: float,
    late: float,
) -> Compared:
    seeds = [seed for seed in before if seed in after]
    old, new = [before[seed] for seed in seeds], [after[seed] for seed in seeds]
    found = differences(before, after)
    middle = estimate(old, centre=worse.centre).value
    allowed = margin(worse, list(before.values()), middle, tolerance, late)
    difference = estimate(found, centre=worse.centre, level=level)
    return Compared(
        policy=policy,
        figure=figure,
        before=middle,
        now=estimate(new, centre=worse.centre).value,
        difference=difference,
        margin=allowed,
        effect=rank_biserial(found),
        verdict=_verdict(worse, difference, allowed, old, new),
    )


def _verdict(
    worse: Worse, difference: Estimate, allowed: float, old: Sequence[float], new: Sequence[float]
) -> Verdict:
    sign = worse.sign
    if worse.never and max(sign * one for one in new) > max(sign * one for one in old):
        return "worse"
    if difference.low is None or difference.high is None:
        return "same"
    # Above 0 is worse: the bounds of a figure that gets worse downwards change places.
    low, high = sorted((sign * difference.low, sign * difference.high))
    if low > allowed:
        return "worse"
    return "better" if high < -allowed else "same"
