"""The median or mean of a few values, with a confidence interval.

Intervals are percentile bootstrap (Efron 1979). Fewer than five values have none: even an interval
from the lowest to the highest would hold the true median less than nine times in ten.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel

LEVEL: Final = 0.95
LEAST: Final = 5  # least number of values that have an interval
_RESAMPLES: Final = 9999
_SEED: Final = 0  # the same values always have the same interval

Centre = Literal["median", "mean"]


class Estimate(BaseModel, frozen=True):
    """Median or mean of ``n`` values, and its interval; without one where ``n`` is too small."""

    n: int
    value: float
    low: float | None
    high: float | None


def estimate(
    values: Sequence[float], *, centre: Centre = "median", level: float = LEVEL
) -> Estimate:
    """Return the median or mean of one or more values with its two-sided bootstrap interval.

    The mean is for what happens rarely, whose median is 0. A ``level`` of 0.95 leaves 2.5 % on
    either side.
    """
    middle = statistics.median(values) if centre == "median" else statistics.fmean(values)
    if len(values) < LEAST:
        return Estimate(n=len(values), value=middle, low=None, high=None)
    if min(values) == max(values):
        return Estimate(n=len(values), value=middle, low=middle, high=middle)
    low, high = _bootstrap(values, centre, level)
    return Estimate(n=len(values), value=middle, low=low, high=high)


def _bootstrap(values: Sequence[float], centre: Centre, level: float) -> tuple[float, float]:
    import numpy
    from scipy import stats

    found = stats.bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.median if centre == "median" else numpy.mean,
        n_resamples=_RESAMPLES,
        confidence_level=level,
        method="percentile",  # BCa's jackknife fails for the median of few values
        rng=numpy.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)
