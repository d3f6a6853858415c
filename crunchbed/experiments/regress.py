"""Compares new runs with a baseline: which figures got worse, and whether that is sure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pydantic import BaseModel

from crunchbed.checks.figures import TIME, spec_of
from crunchbed.checks.result import EXIT_CODES, Result
from crunchbed.experiments.baseline import Baseline, differs
from crunchbed.experiments.stats.interval import LEAST
from crunchbed.experiments.stats.worse import FAILED, Compared, lateness, regressions, valid_pairs

Again = Callable[[Sequence[str]], Sequence[Result]]
"""Makes the runs of some policies once more, on the baseline's seeds."""


class Outcome(BaseModel, frozen=True):
    """What ``crunchbed regress`` found."""

    baseline: str
    scenario: str
    notes: tuple[str, ...]  # how machine and versions differ from those of the baseline
    compared: tuple[Compared, ...]
    # worse in both sets where the runs were made again; for lost writes one set is enough
    regressions: tuple[Compared, ...]
    unconfirmed: tuple[Compared, ...]  # figures that were worse in the first set of runs only
    unknown: tuple[str, ...]  # why a policy could not be compared

    @property
    def exit_code(self) -> int:
        """1 where something got worse, else 3 where something is not known, else 0."""
        if self.regressions:
            return EXIT_CODES["fail"]
        return EXIT_CODES["unknown" if self.unknown else "pass"]


def regress(
    baseline: Baseline, runs: Sequence[Result], *, tolerance: float, again: Again | None = None
) -> Outcome:
    """Compare runs with a baseline; ``tolerance`` is the share by which a figure may get worse.

    ``again`` makes a second set of runs: then a figure is a regression only if it is worse in both
    sets. The load of a machine disturbs runs that are made one after the other alike, and a second
    set is made later. A figure that may never be worse needs no second set.
    """
    compared = regressions(baseline.runs, runs, tolerance=tolerance)
    worse = [one for one in compared if one.verdict == "worse"]
    doubtful = [] if again is None else [one for one in worse if not _never(one.figure)]
    refuted: set[tuple[str, str]] = set()
    unknown = _unknown(baseline, runs)
    if doubtful and again is not None:
        policies = list(dict.fromkeys(one.policy for one in doubtful))
        second = again(policies)
        unknown += _unknown(baseline, second, policies)
        refuted = {(one.policy, one.figure) for one in doubtful}
        repeated = regressions(baseline.runs, second, tolerance=tolerance, only=refuted)
        refuted -= {(one.policy, one.figure) for one in repeated if one.verdict == "worse"}
    confirmed = [one for one in worse if (one.policy, one.figure) not in refuted]
    return Outcome(
        baseline=baseline.name,
        scenario=str(baseline.scenario.get("name")),
        notes=(*differs(baseline, runs), *_busier(baseline, runs)),
        compared=tuple(compared),
        regressions=tuple(confirmed),
        unconfirmed=tuple(one for one in worse if one not in confirmed),
        unknown=tuple(dict.fromkeys(unknown)),
    )


def _never(figure: str) -> bool:
    """Whether one run alone can be a regression by this figure."""
    worse = None if figure == FAILED else spec_of(figure).worse
    return worse is not None and worse.never


def _busier(baseline: Baseline, runs: Sequence[Result]) -> Iterator[str]:
    for policy in baseline.policies:
        then, now = (lateness(found, policy) for found in (baseline.runs, runs))
        if now > then + TIME.floor:
            yield (
                f"{policy}: the machine was busier, its processes woke up to {now * 1e3:.0f} ms "
                f"late, {then * 1e3:.0f} ms then; times that got worse by less than twice that "
                "do not count"
            )


def _unknown(
    baseline: Baseline, runs: Sequence[Result], policies: Sequence[str] | None = None
) -> list[str]:
    return [
        f"{policy}: {found} seeds with valid runs then and now, {LEAST} are needed"
        for policy in policies or baseline.policies
        if (found := valid_pairs(baseline.runs, runs, policy)) < LEAST
    ]
