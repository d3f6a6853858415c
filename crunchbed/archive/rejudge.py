"""Judges a run directory again with the present checks, without root and without a testbed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import orjson

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.history.damaged import blamed_on
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

_DISTURBED: Final = re.compile(r"-(disturbed|ended)-\d+$")
"""Names of runs that were made again: the testbed disturbed them, or they were ended."""


def scenario_of(directory: Path) -> Scenario:
    """Return the scenario of a run directory, as resolved; BadInput where it cannot be read."""
    path = directory / "scenario.json"
    try:
        keys = orjson.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{path}: expected JSON: {error}") from None
    if not isinstance(keys, dict):
        raise BadInput(f"{path}: expected a resolved scenario")
    return Scenario.of(keys, f"{path}: ")


def runs_in(parent: Path) -> list[Path]:
    """Return the directories of a comparison's runs, without disturbed runs, made again since."""
    found = (path.parent for path in parent.glob("*/scenario.json"))
    return [path for path in found if not _DISTURBED.search(path.name)]


def rejudge(directory: Path) -> tuple[Scenario, Result]:
    """Compute the result of a run from its history; BadInput where a file in it is malformed.

    Nothing is written. A run that ended before it had a whole history keeps its recorded result. A
    result that was computed from a history says nothing once that history is gone. Of a run that
    was killed it is not known what happened.
    """
    scenario = scenario_of(directory)
    recorded = directory / "history.jsonl"
    if not recorded.exists() and (directory / "result.json").exists():
        return scenario, _without_history(Result.read(directory / "result.json"), scenario)
    if not recorded.exists() and (directory / "history").is_dir():
        reason = "the run did not come to its end: the parts of its history were not merged"
        return scenario, Result.not_judged(scenario, None, [reason])
    with blamed_on(recorded):
        return scenario, judge(History.read(recorded), scenario)


def _without_history(recorded: Result, scenario: Scenario) -> Result:
    if not recorded.nodes and recorded.verdict == "invalid":
        return recorded
    reason = "history.jsonl is missing, and result.json says that there was one"
    return Result.not_judged(scenario, recorded.seed, [reason])


def rejudge_all(parent: Path) -> tuple[Scenario, list[Result]]:
    """Judge all runs of one comparison again, without disturbed runs, which were repeated.

    Returns the scenario of the first run, and the results in the order of seed and policy.
    BadInput: there is no run, or the runs are of different scenarios.
    """
    places = sorted(runs_in(parent))
    if not places:
        raise BadInput(f"{parent}: expected a directory of runs, as `crunchbed compare` makes one")
    found = [rejudge(place) for place in places]
    first = found[0][0]
    for place, (scenario, _) in zip(places, found, strict=True):
        if scenario.resolved() != {**first.resolved(), "policy": scenario.policy}:
            raise BadInput(f"{place}: expected a run of the same scenario as {places[0]}")
    results = [result for _, result in found]
    return first, sorted(results, key=lambda result: (result.seed or 0, result.policy))
