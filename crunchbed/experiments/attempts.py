"""Runs of an experiment: made again where the testbed disturbed them, counted where they fail."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from crunchbed.checks.result import Result
from crunchbed.report.progress import watched
from crunchbed.run.signals import ended_by_signals
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement

if TYPE_CHECKING:
    from crunchbed.prometheus.scraper import Scraper

TRIES = 3
"""How often a run is made until it is valid.

What makes a run invalid, such as a heartbeat missed in the control phase, is known before the
fault begins and says nothing of the outcome, so that making the run again favours no verdict.
"""


def execute(
    scenario: Scenario,
    seed: int,
    directory: Path,
    scraper: Scraper | None = None,
    *,
    quiet: bool = False,
) -> Result:
    """Make one run; its progress is shown on stderr, unless ``quiet``."""
    from crunchbed.run import engine  # brings the checks and the report

    label = f"{scenario.name} {scenario.policy} seed {seed}"
    with watched(scenario, label, quiet=quiet) as progress:
        return engine.run(scenario, seed=seed, out=directory, progress=progress, scraper=scraper)


def attempt_each(
    scenario: Scenario,
    policies: Sequence[str],
    seeds: Iterable[int],
    parent: Path,
    scraper: Scraper | None = None,
    *,
    quiet: bool = False,
) -> list[tuple[Result, Path]]:
    """Make a run of every policy on every seed; BadInput where the scenario refuses a policy."""
    variants = {policy: scenario.with_overrides({"policy": policy}) for policy in policies}
    made = attempt_variants(variants, seeds, parent, scraper, quiet=quiet)
    return [(result, place) for _, result, place in made]


def attempt_variants(
    variants: Mapping[str, Scenario],
    seeds: Iterable[int],
    parent: Path,
    scraper: Scraper | None = None,
    *,
    quiet: bool = False,
) -> list[tuple[str, Result, Path]]:
    """Make a run of every variant on every seed: all on the first seed, then all on the next.

    Returns, of each run, the name of its variant, its result, and its directory in ``parent``.
    Raises as ``attempt``, and KeyboardInterrupt where a signal asks for the end.
    """
    places = [(name, seed, parent / f"{name}-{seed}") for seed in seeds for name in variants]
    with ended_by_signals():  # also between two runs
        return [
            (name, attempt(variants[name], seed, place, scraper, quiet=quiet), place)
            for name, seed, place in places
        ]


def attempt(
    scenario: Scenario,
    seed: int,
    directory: Path,
    scraper: Scraper | None = None,
    *,
    quiet: bool = False,
) -> Result:
    """Make a run until it is valid, ``TRIES`` times at most; return the last result.

    A simulated run is made once: it is the same each time.

    The directories of disturbed runs stay beside ``directory``, as ``...-disturbed-1`` and so on.

    Raises:
        BadInput: The scenario or the directory is wrong for all runs alike.
        MissingRequirement: This machine cannot run it at all.
    """
    tries = 1 if scenario.cluster.backend == "simulation" else TRIES
    for number in range(1, tries + 1):
        try:
            result = execute(scenario, seed, directory, scraper, quiet=quiet)
        except (BadInput, MissingRequirement):
            raise
        except CrunchbedError as error:
            result = Result.not_measured(scenario, seed, str(error))
        if result.verdict != "invalid":
            break
        again = number < tries
        reasons = "; ".join(result.reasons) + ("; once more" if again else "")
        sys.stderr.write(f"crunchbed: {scenario.policy}, seed {seed}: {reasons}\n")
        if again and directory.exists():
            set_aside(directory, "disturbed")
    return result


def set_aside(directory: Path, why: str) -> None:
    """Rename a run's directory to ``...-WHY-1``, or the next number that is free."""
    names = (directory.with_name(f"{directory.name}-{why}-{number}") for number in count(1))
    directory.rename(next(name for name in names if not name.exists()))
