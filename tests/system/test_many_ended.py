"""Many runs in one command, ended by a signal: nothing stays in the folder for temporary files."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from nodes.waiting import wait_until
from tests.system.command import SHORT, Command, run, traces
from tests.system.test_sweep import FOUR, live_below_temporary

pytestmark = pytest.mark.root
COMPARE = (
    *("compare", "control", *SHORT, "--set", "cluster.switch=linux-bridge"),
    *("--policies", "none,memalloc", "--seeds", "1..3"),
)


def begin(tmp: Path, *arguments: str) -> Command:
    """Start a command whose temporary files go to ``tmp``."""
    tmp.mkdir()
    return Command(*arguments, "--out", tmp.parent / "out", before=("env", f"TMPDIR={tmp}"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [COMPARE, FOUR], ids=["compare", "sweep"])
def test_asked_to_end_it_ends_as_a_run_does(
    arguments: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    command = begin(tmp_path / "tmp", *arguments)
    try:
        wait_until(lambda: [*(tmp_path / "out").rglob("result.json")], 60, "a run is finished")
        runs = live_below_temporary() | {command.run_id or ""} - {""}
        command.popen.send_signal(number)
        assert command.end(30) == 130
        assert command.complaints[-1] == "crunchbed: interrupted"
    finally:
        command.kill()
    assert [*(tmp_path / "tmp").iterdir()] == []
    assert [trace for run_id in runs for trace in traces(run_id)] == []


def test_what_a_killed_sweep_leaves_there_is_cleaned_once_its_runs_have_ended(
    tmp_path: Path,
) -> None:
    tmp = tmp_path / "tmp"
    command = begin(tmp, *FOUR)
    wait_until(lambda: live_below_temporary() != set(), 60, "a run has begun")
    command.kill()
    (place,) = (each for each in tmp.iterdir() if each.name.startswith("crunchbed-sweep-"))
    wait_until(lambda: live_below_temporary() == set(), 30, "its runs have undone themselves")
    wait_until(
        lambda: f"{place.name}: removed scratch" in cleaned(tmp), 10, "clean knows the directory"
    )
    assert [*tmp.iterdir()] == []


def cleaned(tmp: Path) -> str:
    """What `crunchbed clean` says of that folder for temporary files."""
    command = run("clean", before=("env", f"TMPDIR={tmp}"))
    assert command.popen.returncode == 0, command.errors
    return command.output
