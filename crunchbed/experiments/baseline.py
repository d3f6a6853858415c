"""Baselines: results of a scenario's runs, kept so that later runs can be compared with them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

import orjson
from pydantic import BaseModel, Field, ValidationError

from crunchbed.checks.result import Result
from crunchbed.experiments.stats.interval import LEAST
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, RunInvalid
from reserve_agent.files import write_bytes

DIRECTORY: Final = Path("baselines")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Baseline(BaseModel, frozen=True, extra="forbid"):
    """Runs of one scenario under some policies, on some seeds."""

    format: Literal[1] = 1
    name: str
    made: str  # when the baseline was made, UTC
    processors: int | None
    scenario: dict[str, Any]
    runs: tuple[Result, ...] = Field(min_length=1)  # without the figures of single nodes

    @classmethod
    def of(cls, name: str, scenario: Scenario, runs: Sequence[Result], now: datetime) -> Self:
        """Return a baseline of these runs; RunInvalid where a policy has too few valid runs."""
        for policy in dict.fromkeys(run.policy for run in runs):
            valid = sum(run.valid for run in runs if run.policy == policy)
            if valid < LEAST:
                raise RunInvalid(
                    f"baseline {name}: expected {LEAST} valid runs of {policy} or more, got "
                    f"{valid}; fewer have no interval"
                )
        return cls(
            name=name,
            made=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            processors=os.cpu_count(),
            scenario=scenario.resolved(),
            runs=tuple(run.model_copy(update={"nodes": {}}) for run in runs),
        )

    @property
    def policies(self) -> tuple[str, ...]:
        """In the order in which they were run."""
        return tuple(dict.fromkeys(run.policy for run in self.runs))

    @property
    def seeds(self) -> tuple[int, ...]:
        """In the order in which they were run."""
        return tuple(dict.fromkeys(run.seed or 0 for run in self.runs))

    def read_scenario(self) -> Scenario:
        """Return the scenario; BadInput where this version refuses one of its keys or values."""
        return Scenario.of(self.scenario, f"baseline {self.name}: scenario: ")

    def write(self, directory: Path) -> Path:
        """Write the file, whole or not at all; BadInput where it cannot be written."""
        path = directory / f"{self.name}.json"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            text = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
            write_bytes(path, text + b"\n")
        except OSError as error:
            raise BadInput(f"{path}: cannot be written: {error.strerror}") from None
        return path


def checked_name(name: str) -> str:
    """Return a name that a baseline can have; BadInput where the name is not fit for a file."""
    if _NAME.fullmatch(name) is None:
        raise BadInput(
            f"baseline {name!r}: expected a name of letters, digits, '.', '_' and '-', at most 64"
        )
    return name


def names(directory: Path) -> list[str]:
    """Return the names of the baselines in a directory, sorted."""
    return sorted(path.stem for path in directory.glob("*.json"))


def read(name: str, directory: Path) -> Baseline:
    """Return a baseline; BadInput where there is none of that name, or its file makes no sense."""
    path = directory / f"{checked_name(name)}.json"
    try:
        return Baseline.model_validate(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        known = ", ".join(names(directory)) or "none"
        raise BadInput(
            f"no baseline {name!r} in {directory}; known: {known}; "
            "`crunchbed baseline save` makes one"
        ) from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{path}: expected a baseline: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(
            f"{path}: {where}: expected a baseline of format 1: {first['msg']}"
        ) from None


def differs(baseline: Baseline, runs: Sequence[Result]) -> list[str]:
    """Return in words how machine and versions differ, which may explain different figures."""
    then, now = _measured(baseline.runs), _measured(runs)
    words = []
    if baseline.processors != os.cpu_count():
        words.append(f"{baseline.processors} processors then, {os.cpu_count()} now")
    for name in ("backend", "switch"):
        old, new = getattr(then, name), getattr(now, name)
        if old != new and "unknown" not in (old, new):
            words.append(f"{name} {old} then, {new} now")
    for name in ("kernel", "nic"):
        old, new = getattr(then, name), getattr(now, name)
        if old and new and old != new:
            words.append(f"machines' {name} {old} then, {new} now")
    for name in ("kernel", "crunchbed"):
        old, new = then.versions.get(name), now.versions.get(name)
        if old and new and old != new:
            words.append(f"{name} {old} then, {new} now")
    return words


def _measured(runs: Sequence[Result]) -> Result:
    """The first valid run, else the first: a run that is not valid may lack switch and versions."""
    return next((run for run in runs if run.valid), runs[0])
