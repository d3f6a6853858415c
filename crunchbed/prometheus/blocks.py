"""Writes runs that are over into the data of a Prometheus."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from crunchbed.archive.rejudge import scenario_of
from crunchbed.history.damaged import blamed_on
from crunchbed.history.history import History
from crunchbed.prometheus.openmetrics import Timeline
from crunchbed.prometheus.replay import Clock, replay
from crunchbed.prometheus.server import CONFIG, DATA, empty_config
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError

_HISTORY = "history.jsonl"
_PROMTOOL_SECONDS = 600


class Run(NamedTuple):
    """One recorded run; ``made`` is when, where its history does not say so."""

    id: str
    directory: Path
    scenario: Scenario
    made: Clock | None = None


def find_runs(directories: Iterable[Path]) -> list[Run]:
    """Return the runs in directories of runs or comparisons; BadInput where one has none."""
    found: dict[Path, Run] = {}
    for directory in directories:
        inside = sorted({path.parent for path in directory.glob(f"*/{_HISTORY}")})
        own = [directory] if (directory / _HISTORY).exists() else inside
        if not own:
            raise BadInput(f"{directory}: expected the directory of a run or a comparison")
        for path in own:
            found[path.resolve()] = _run(path)
    return list(found.values())


def _run(directory: Path) -> Run:
    path = directory / "run.json"
    try:
        told = orjson.loads(path.read_bytes())
        run_id, simulated = str(told["run"]), told.get("backend") == "simulation"
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0]
        raise BadInput(f"{path}: not what a run writes: {first}") from None
    if not simulated:
        return Run(run_id, directory, scenario_of(directory))
    # All simulated runs have one id.
    made = Clock.read(told.get("clock"))
    return Run(directory.resolve().name, directory, scenario_of(directory), made)


def timeline_of(run: Run, interval_ns: int) -> Timeline:
    """Return what a Prometheus would have scraped of a run; BadInput with the history's path."""
    path = run.directory / _HISTORY
    try:
        with blamed_on(path):
            return replay(History.read(path), run.scenario, run.id, interval_ns, run.made)
    except BadInput as error:
        known = str(error).startswith(str(path))
        raise error if known else BadInput(f"{path}: {error}") from None


def write(timelines: Iterable[Timeline], directory: Path) -> Iterator[Timeline]:
    """Write a Prometheus' configuration and data; yield each run once it is written.

    CrunchbedError: promtool refuses a run, or the directory cannot be written.
    """
    partial = directory / "openmetrics.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / CONFIG).write_text(empty_config())
        for timeline in timelines:
            with partial.open("w") as file:
                file.writelines(timeline.text())
            _create_blocks(partial, directory / DATA)
            yield timeline
    except OSError as error:
        raise CrunchbedError(f"{directory}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _create_blocks(openmetrics: Path, data: Path) -> None:
    # One run at a time: promtool reads the whole file again for every two hours that it spans.
    argv = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    done = subprocess.run(
        [*argv, str(openmetrics), str(data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PROMTOOL_SECONDS,
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise CrunchbedError(f"promtool: {lines[-1] if lines else done.returncode}")
