"""The run directory: the scenario, the machine, and everything that the run recorded."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from crunchbed.host import room
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput
from reserve_agent.files import write_json

FORMAT = 3  # of the histories that are written now; see ``RunInfo.format``
DEFAULT_PARENT = Path("runs")
_PARTS = ("history", "logs")
_SCENARIO = "scenario.json"
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_PACKAGES = ("crunchbed", "prometheus-client", "pydantic")


def make(scenario: Scenario, seed: int, run_id: str, out: Path | None) -> Path:
    """Make the directory of a run, new or empty; BadInput where it cannot be made there."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = (
        out or DEFAULT_PARENT / f"{stamp}-{scenario.name[:150]}-{scenario.policy}-{seed}-{run_id}"
    )
    existed = path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise BadInput(f"{path}: is not empty; give another directory with --out")
        for part in _PARTS:
            (path / part).mkdir()
        write_json(path / _SCENARIO, scenario.resolved())
    except OSError as error:
        _take_back(path, existed)
        raise BadInput(f"{path}: cannot make the run directory ({error.strerror})") from error
    return path.resolve()


def _take_back(path: Path, existed: bool) -> None:
    """Remove what ``make`` had made before it failed; the disk may be full or broken."""
    with contextlib.suppress(OSError):
        for part in _PARTS:
            shutil.rmtree(path / part, ignore_errors=True)
        (path / _SCENARIO).unlink(missing_ok=True)
        if not existed:
            path.rmdir()


def unwritable(places: Sequence[Path], error: Exception) -> str | None:
    """Return which of a run's places cannot be written to, and why, if that may explain ``error``.

    Not every error of writing names its file, and a daemon that a full disk has ended cannot log
    the reason. So the disks are asked as well.

    Args:
        places: Directories that the run writes to; the first is its own.
        error: What has ended the run.
    """
    full = next((place for place in places if room.is_full(place)), None)
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        file = Path(os.fsdecode(error.filename or full or places[0]))
        place = next((each for each in places if file.is_relative_to(each)), file)
        return f"{place}: cannot be written to: {error.strerror}"
    return None if full is None else f"{full}: cannot be written to: {os.strerror(errno.ENOSPC)}"


def note_history(directory: Path, merged: Mapping[str, Any]) -> None:
    """Write down in ``run.json`` what the merged history holds; may raise OSError."""
    path = directory / "run.json"
    write_json(path, {**orjson.loads(path.read_bytes()), "history": merged})


def note_audit(directory: Path, found: Sequence[str]) -> None:
    """Write down in ``run.json`` what is wrong with the merged history; may raise OSError."""
    merged = orjson.loads((directory / "run.json").read_bytes())["history"]
    note_history(directory, {**merged, "audit": found})


def _versions() -> dict[str, str]:
    """Return the version of everything that may matter to a figure, whatever the backend."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return found | {"kernel": platform.release(), "python": platform.python_version()}


def identity(
    scenario: Scenario, seed: int, run_id: str, world: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what ``metadata`` says whatever machine it is, and the versions of the world alone."""
    return {
        "format": FORMAT,
        "run": run_id,
        "scenario": scenario.name,
        "seed": seed,
        "backend": scenario.cluster.backend,
        "switch": world["switch"],
        "versions": world["versions"],
    }


def metadata(
    scenario: Scenario, seed: int, run_id: str, now_ns: int, world: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what ``run.json`` says; its ``clock`` ties ``now_ns`` to the calendar.

    ``world`` has the kind of ``switch`` and the ``versions`` of the programs in use.
    """
    return {
        **identity(scenario, seed, run_id, world),
        "processors": os.cpu_count(),
        "versions": {**world["versions"], **_versions()},
        "clock": {"monotonic_ns": now_ns, "unix_ns": time.time_ns()},
    }
