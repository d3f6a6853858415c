"""The run directory: what was asked for, on what, and everything that came of it."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

DEFAULT_PARENT = Path("runs")
_PARTS = ("history", "logs")
_SCENARIO = "scenario.json"
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_PACKAGES = ("crunchbed", "prometheus-client", "pydantic")


def make(scenario: Scenario, seed: int, run_id: str, out: Path | None) -> Path:
    """Make the directory; ``out`` must not exist yet, or be empty.

    Raises:
        BadInput: It cannot be made there.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = out or DEFAULT_PARENT / f"{stamp}-{scenario.name}-{scenario.policy}-{seed}-{run_id}"
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
    """Remove what ``make`` made before it failed, on a disk that may be full or worse."""
    with contextlib.suppress(OSError):
        for part in _PARTS:
            shutil.rmtree(path / part, ignore_errors=True)
        for file in (path / _SCENARIO, _partial(path / _SCENARIO)):
            file.unlink(missing_ok=True)
        if not existed:
            path.rmdir()


def unwritable(directory: Path, error: Exception) -> str | None:
    """Whether ``error`` came of the run directory's disk: why nothing can be written, or None.

    A daemon that died of it could not say so in its log, so the disk is looked at as well.
    """
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return error.strerror
    with contextlib.suppress(OSError):
        disk = os.statvfs(directory)
        if disk.f_bfree == 0 or (disk.f_files > 0 and disk.f_ffree == 0):
            return os.strerror(errno.ENOSPC)
    return None


def _partial(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".part")


def write_json(path: Path, value: Any) -> None:
    """Write a file in one step, so that a kill leaves the old one or the new one."""
    partial = _partial(path)
    partial.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
    partial.rename(path)


def _versions() -> dict[str, str]:
    """Return the version of everything that may matter to a figure, whatever the backend."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return found | {"kernel": platform.release(), "python": platform.python_version()}


def metadata(
    scenario: Scenario, seed: int, run_id: str, now_ns: int, world: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what ``run.json`` says. ``clock`` ties the history's clock to the calendar.

    Args:
        scenario: What is run.
        seed: Of the run.
        run_id: Of the run.
        now_ns: The time of the history's clock.
        world: The kind of ``switch`` in use, and ``versions`` of the programs in use.
    """
    return {
        "run": run_id,
        "scenario": scenario.name,
        "seed": seed,
        "backend": world["switch"],
        "processors": os.cpu_count(),
        "versions": {**world["versions"], **_versions()},
        "clock": {"monotonic_ns": now_ns, "unix_ns": time.time_ns()},
    }
