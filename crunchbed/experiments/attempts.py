"""One run of many: repeated where the testbed disturbed it, counted where it fails."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from crunchbed.checks.result import Result
from crunchbed.prometheus.scraper import Scraper
from crunchbed.report.progress import watched
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement

TRIES = 3
"""How often a run is made until it is valid.

What makes a run invalid, such as a heartbeat missed in the control phase, is known before the
fault begins and says nothing of its outcome; so making the run again favours no verdict.
"""


def execute(
    scenario: Scenario,
    seed: int,
    directory: Path,
    scraper: Scraper | None = None,
    *,
    quiet: bool = False,
) -> Result:
    """One run; its progress is a view on a terminal, else lines on stderr, nothing if ``quiet``."""
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
    """A run of every policy on every seed: all policies on the first seed, then all on the next.

    Raises: as ``attempt``; a policy that does not go with the scenario before anything was run.
    """
    variants = [scenario.with_overrides({"policy": policy}) for policy in policies]
    places = [
        (variant, seed, parent / f"{variant.policy}-{seed}")
        for seed in seeds
        for variant in variants
    ]
    return [attempt(*place, scraper, quiet=quiet) for place in places]


def attempt(
    scenario: Scenario,
    seed: int,
    directory: Path,
    scraper: Scraper | None = None,
    *,
    quiet: bool = False,
) -> tuple[Result, Path]:
    """The first valid run out of ``TRIES``, else the last, and where it is.

    The directories of disturbed runs stay beside it, named ``...-disturbed-1`` and so on.

    Raises:
        BadInput: The scenario or the directory is wrong for all runs alike.
        MissingRequirement: This machine cannot run it at all.
    """
    for number in range(1, TRIES + 1):
        try:
            result = execute(scenario, seed, directory, scraper, quiet=quiet)
        except (BadInput, MissingRequirement):
            raise
        except CrunchbedError as error:
            result = Result.not_measured(scenario, seed, str(error))
        if result.verdict != "invalid":
            return result, directory
        again = number < TRIES
        reasons = "; ".join(result.reasons) + ("; once more" if again else "")
        sys.stderr.write(f"crunchbed: {scenario.policy}, seed {seed}: {reasons}\n")
        if not again:
            return result, directory
        if directory.exists():
            directory.rename(directory.with_name(f"{directory.name}-disturbed-{number}"))
    raise AssertionError("unreachable: the last try returns")
