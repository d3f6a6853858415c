"""A sweep's directory: what was asked for, and one directory for each run that is finished.

A run appears there whole or not at all, so that a sweep that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from crunchbed.archive import rundir
from crunchbed.checks.result import Result
from crunchbed.experiments.sweep.trial import Trial
from reserve_agent.errors import BadInput, RunInvalid

SWEEP_FILE = "sweep.json"
_RUNS = "runs"


class SweepFolder:
    """The directory of one sweep.

    Attributes:
        path: Where it is.
        asked: What the sweep is of, as ``sweep.json`` has it.
    """

    def __init__(self, path: Path, asked: Mapping[str, Any]) -> None:
        self.path = path
        self.asked = asked
        self._runs = path / _RUNS

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """One that was begun before.

        Raises:
            BadInput: There is none, or it is damaged.
        """
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
        """A new one; or the one that is there, if it was asked for the same.

        Raises:
            BadInput: Something else is there, or it cannot be made.
        """
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
            rundir.write_json(path / SWEEP_FILE, asked)
        except OSError as error:
            raise BadInput(f"{path}: cannot be made ({error.strerror})") from error
        return cls(path, asked)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from making the same runs; it ends with this process, however that ends.

        Raises:
            BadInput: Somebody else is at it.
        """
        with (self.path / SWEEP_FILE).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"{self.path}: another crunchbed sweep is at it") from None
            yield

    def result(self, trial: Trial) -> Result | None:
        """The result of a run that is finished, else None."""
        path = self._runs / trial.name / "result.json"
        return Result.read(path) if path.exists() else None

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        """Those that are still to be made."""
        return [trial for trial in trials if not (self._runs / trial.name).exists()]

    def forget_unmade(self) -> int:
        """Remove what stands for runs that left nothing but a reason; returns how many.

        A worker that died, or whose disk was full, says nothing of the run: it can be made yet.
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
        """Put a finished run's directory in its place.

        Raises:
            RunInvalid: The disk is full, or worse; what is finished stays.
        """
        place = self._runs / trial.name
        partial = place.with_name(f".{place.name}.part")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                packed.extractall(partial)  # never outside of it
            rundir.write_json(partial / "trial.json", {"point": trial.point, "seed": trial.seed})
            partial.rename(place)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise RunInvalid(
                f"{place}: cannot be written ({error.strerror}); what is finished is kept: "
                f"make room, then `crunchbed sweep --resume {self.path}`"
            ) from error
        return Result.read(place / "result.json")

    def write_summary(self, value: Any) -> None:
        """Write ``summary.json``.

        Raises:
            RunInvalid: The disk is full, or worse.
        """
        try:
            rundir.write_json(self.path / "summary.json", value)
        except OSError as error:
            raise RunInvalid(
                f"{self.path}: cannot be written ({error.strerror}); the runs are kept: "
                f"make room, then `crunchbed sweep --resume {self.path}`"
            ) from error
