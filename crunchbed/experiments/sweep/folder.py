"""A sweep's directory: what was asked for, a directory for each finished run, runs by value.

A run's directory appears whole or not at all, so that a sweep that was killed can be resumed.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import orjson

from crunchbed.checks.result import Result
from crunchbed.experiments.sweep.quantity import size_of
from crunchbed.experiments.sweep.space import Trial, parse_axes
from crunchbed.scenario.kinds import did_you_mean
from reserve_agent.errors import BadInput, RunInvalid
from reserve_agent.files import write_json

SWEEP_FILE = "sweep.json"
_RUNS = "runs"

Run = tuple[Mapping[str, str], Result]  # values of the keys that were varied, and the run's result


class SweepFolder:
    """The directory of one sweep; ``asked`` is the content of its ``sweep.json``."""

    def __init__(self, path: Path, asked: Mapping[str, Any]) -> None:
        self.path = path
        self.asked = asked
        self._runs = path / _RUNS

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """Return the directory of a sweep that was begun; BadInput where it makes no sense."""
        try:
            asked = orjson.loads((path / SWEEP_FILE).read_bytes())
        except OSError as error:
            raise BadInput(f"{path}: is no sweep: {SWEEP_FILE}: {error.strerror}") from None
        except orjson.JSONDecodeError as error:
            raise BadInput(f"{path / SWEEP_FILE}: expected JSON: {error}") from None
        if not isinstance(asked, dict) or not isinstance(asked.get("scenario"), dict):
            raise BadInput(f"{path / SWEEP_FILE}: expected what a sweep was asked for")
        return cls(path, asked)

    @classmethod
    def make(cls, path: Path, asked: Mapping[str, Any]) -> SweepFolder:
        """Make the directory of a sweep, or return that of the same one; BadInput for another."""
        asked = orjson.loads(orjson.dumps(asked))
        if (path / SWEEP_FILE).exists():
            known = cls.open(path)
            if changed := sorted(
                key for key in {*known.asked, *asked} if known.asked.get(key) != asked.get(key)
            ):
                raise BadInput(f"{path}: holds another sweep (it differs in {', '.join(changed)})")
            return known
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise BadInput(f"{path}: expected a new or empty directory, or a sweep's")
            write_json(path / SWEEP_FILE, asked)
        except OSError as error:
            raise BadInput(f"{path}: cannot be made ({error.strerror})") from error
        return cls(path, asked)

    @contextlib.contextmanager
    def held(self) -> Iterator[Self]:
        """Lock the directory until this process ends; BadInput where another has the lock."""
        with (self.path / SWEEP_FILE).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"{self.path}: another crunchbed sweep is at it") from None
            yield self

    def result(self, trial: Trial) -> Result:
        """Return the result of a finished run; BadInput where it is none."""
        return Result.read(self._runs / trial.name / "result.json")

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return the trials that are not finished."""
        return [trial for trial in trials if not (self._runs / trial.name).exists()]

    def forget_unmade(self) -> int:
        """Remove runs that left only a reason why they have no history; return how many.

        Their worker died, or its disk was full; that says nothing of the run, which is made again.
        """
        unmade = [
            place
            for place in sorted(self._runs.glob("[!.]*"))
            if {one.name for one in place.iterdir()} == {"result.json", "trial.json"}
        ]
        for place in unmade:
            shutil.rmtree(place, ignore_errors=True)
        return len(unmade)

    def store(self, trial: Trial, archive: bytes) -> Result:
        """Store a finished run's directory, a ZIP file; RunInvalid where the disk is full."""
        place = self._runs / trial.name
        partial = place.with_name(f".{place.name}.part")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                packed.extractall(partial)  # writes nothing outside of the directory
            write_json(partial / "trial.json", {"point": trial.point, "seed": trial.seed})
            partial.rename(place)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise RunInvalid(
                f"{place}: cannot be written ({error.strerror}); what is finished is kept: "
                f"make room, then `crunchbed sweep --resume {self.path}`"
            ) from error
        return Result.read(place / "result.json")

    def write_summary(self, value: Any) -> None:
        """Write ``summary.json``; RunInvalid where it cannot be written, as on a full disk."""
        try:
            write_json(self.path / "summary.json", value)
        except OSError as error:
            raise RunInvalid(
                f"{self.path}: cannot be written ({error.strerror}); the runs are kept: "
                f"make room, then `crunchbed sweep --resume {self.path}`"
            ) from error


def runs_of(directory: Path) -> list[Run]:
    """Return every finished run of the sweep in a directory; BadInput where there is none."""
    found: list[Run] = []
    for path in sorted(directory.glob("runs/*/trial.json")):
        try:
            trial = orjson.loads(path.read_bytes())
            point = {str(key): str(value) for key, value in trial["point"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise BadInput(f"{path}: expected what was varied in a run of a sweep") from None
        found.append((point, Result.read(path.with_name("result.json"))))
    if not found:
        raise BadInput(f"{directory}: expected a sweep with finished runs; see crunchbed sweep")
    return found


def asked_order(asked: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return each key's values in the order of ``sweep.json``; BadInput where it has none."""
    return {axis.key: axis.values for axis in parse_axes(map(str, asked.get("vary", ())))}


def values_of(runs: Iterable[Run], key: str | None, asked: Sequence[str] = ()) -> list[str]:
    """Return the values of a key in the runs; BadInput where it was not varied.

    Quantities come first, from the smallest on; then words, in the order of ``asked``. Without a
    key there is one empty value.
    """
    if key is None:
        return [""]
    runs = list(runs)
    known = list(dict.fromkeys(name for point, _ in runs for name in point))
    if key not in known:
        hint = did_you_mean(key, known)
        raise BadInput(f"{key}: was not varied{hint}; varied: {', '.join(known) or 'nothing'}")
    values = dict.fromkeys(point[key] for point, _ in runs if key in point)
    places = {value: place for place, value in enumerate(asked)}
    return sorted(values, key=lambda value: _order(value, places))


def _order(value: str, places: Mapping[str, int]) -> tuple[float, int]:
    size = size_of(value)
    return (float("inf") if size is None else size, places.get(value, len(places)))


def where(runs: Sequence[Run], wanted: Mapping[str, str]) -> list[Result]:
    """Return the results of valid runs with the wanted values; an empty key is passed over."""
    return [
        result
        for point, result in runs
        if result.valid and all(point.get(key) == value for key, value in wanted.items() if key)
    ]
