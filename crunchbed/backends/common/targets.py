"""Where a run's metrics are served, as files that a Prometheus follows (``file_sd_configs``).

Every agent has a file, written when the agent answers, and again when another agent takes its
place; the files are removed with the run. All runs of a machine share one directory, since
Prometheus takes a pattern only in the last part of a path.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from crunchbed.host.run_ids import STATE_ROOT

if TYPE_CHECKING:
    from crunchbed.scenario.schema import Scenario

DIRECTORY: Final = STATE_ROOT / "targets"
OWNER: Final = "__owner__"
"""Label with the pid of whoever executes the run; Prometheus drops it after relabelling."""


def make_directory(directory: Path = DIRECTORY) -> Path:
    """Make the directory, readable for every user; Prometheus is slow to see a new one."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    return directory


def labels_of(run_id: str, scenario: Scenario) -> dict[str, str]:
    """Return the labels of every series of a run, live or replayed.

    Runs that are compared differ in these labels, beside ``run``. The policy is the one that the
    run begins with.
    """
    corosync = scenario.membership == "corosync"
    return {
        "run": run_id,
        "scenario": scenario.name,
        "policy": scenario.policy,
        "flags": "+".join(sorted(scenario.memalloc)) or "none",
        "detector": scenario.membership if corosync else scenario.detector.kind,
        "shed": scenario.shed.mode,
    }


class Targets:
    """The files of one run."""

    def __init__(self, run_id: str, scenario: Scenario, directory: Path = DIRECTORY) -> None:
        self._run_id = run_id
        self._labels = labels_of(run_id, scenario)
        self._directory = directory

    def serve(self, node: str, port: int) -> None:
        """Say that a node's metrics are at this port of the loopback interface."""
        make_directory(self._directory)
        labels = {**self._labels, "instance": node, OWNER: str(os.getpid())}
        content = [{"targets": [f"127.0.0.1:{port}"], "labels": labels}]
        path = self._directory / f"{self._run_id}-{node}.json"
        partial = path.with_suffix(".part")  # which ``files_of`` finds too, if the run is killed
        partial.write_bytes(orjson.dumps(content))
        partial.chmod(0o644)
        partial.replace(path)

    def remove(self) -> None:
        """Remove the files of the run."""
        for path in files_of(self._run_id, self._directory):
            path.unlink(missing_ok=True)


def files_of(run_id: str, directory: Path = DIRECTORY) -> list[Path]:
    """Return the files of a run."""
    return sorted(directory.glob(f"{run_id}-*"))
