"""Sweeps of real runs: killed, interrupted, gone on with, and on a disk that is full."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

import orjson
import pytest

from crunchbed.host import scratch
from crunchbed.host.run_ids import STATE_ROOT
from nodes.waiting import wait_until
from tests.system.command import SHORT, Command, run, traces

pytestmark = pytest.mark.root
FOUR = (
    *("sweep", "control", *SHORT, "--set", "cluster.switch=linux-bridge"),
    *("--set", "phases.recovery=2s", "--vary", "policy=none,memalloc", "--seeds", "1..2"),
    *("--workers", "2"),
)


def results(out: Path) -> set[str]:
    return {path.parent.name for path in out.glob("runs/*/result.json")}


def finish_one(out: Path) -> Command:
    command = Command(*FOUR, "--out", out)
    wait_until(lambda: len(results(out)) >= 1, 60, "a run is finished")
    return command


def live_below_temporary() -> set[str]:
    """Runs whose directory is a trial's."""
    found = set()
    for path in STATE_ROOT.glob("*/run.json"):
        try:
            directory = orjson.loads(path.read_bytes())["dir"] or ""
        except (FileNotFoundError, orjson.JSONDecodeError):
            continue
        if "crunchbed-trial-" in directory:
            found.add(path.parent.name)
    return found


def clean_abandoned() -> None:
    """Have `crunchbed clean` remove the directory of a command that was killed."""
    assert run("clean").popen.returncode == 0
    assert scratch.abandoned() == []


def test_killed_it_leaves_nothing_and_goes_on_without_making_a_run_twice(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    command = finish_one(out)
    runs = live_below_temporary()
    command.kill()
    wait_until(
        lambda: all(traces(run_id) == [] for run_id in runs), 30, "its runs have undone themselves"
    )
    clean_abandoned()
    made = {name: (out / "runs" / name / "result.json").stat().st_ino for name in results(out)}
    assert 1 <= len(made) < 4
    again = run("sweep", "--resume", out, "--workers", "2", "--json")
    assert again.popen.returncode == 0, again.errors
    assert any(f"{len(made)} runs are there already" in line for line in again.errors)
    assert len(results(out)) == 4
    assert all(
        (out / "runs" / name / "result.json").stat().st_ino == inode for name, inode in made.items()
    )
    points = orjson.loads(again.output)["points"]
    assert [(one["point"], one["runs"], one["valid"]) for one in points] == [
        ({"policy": "none"}, 2, 2),
        ({"policy": "memalloc"}, 2, 2),
    ]


def test_interrupted_it_keeps_what_is_finished_and_its_runs_end(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    command = finish_one(out)
    runs = live_below_temporary()
    command.popen.send_signal(signal.SIGINT)
    assert command.end() == 130
    assert command.complaints[-1].startswith("crunchbed: interrupted")
    wait_until(
        lambda: all(traces(run_id) == [] for run_id in runs), 30, "its runs have undone themselves"
    )
    assert len(results(out)) >= 1


def test_a_disk_that_fills_up_loses_nothing_that_is_finished(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    options = "size=700k"
    mount = f"cd {shlex.quote(str(tmp_path))} && mount -t tmpfs -o {options} none disk"
    script = f'{mount} && "$@"; code=$?; ls disk/sweep/runs; cp -r disk/sweep kept; exit $code'
    before = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")
    command = run(*FOUR, "--out", tmp_path / "disk" / "sweep", before=before)
    assert command.popen.returncode == 3, (command.errors, command.output)
    last = command.complaints[-1]
    assert "No space left on device" in last
    assert "--resume" in last
    kept = results(tmp_path / "kept")
    assert kept == set(command.output.split())
    assert all(
        orjson.loads((tmp_path / "kept" / "runs" / name / "result.json").read_bytes())["seed"]
        for name in kept
    )
