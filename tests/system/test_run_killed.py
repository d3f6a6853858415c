"""A run that is ended by force, or asked to end: what is left, and what is said."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from crunchbed.host.run_ids import STATE_ROOT
from tests.system.command import (
    SHORT,
    Command,
    killed_ends_all_that_it_has_started,
    killed_leaves_nothing_that_clean_does_not_remove,
    run,
    traces,
)

pytestmark = pytest.mark.root
SEED = 32
WHOLE_SECONDS = 4.0
# The node is ejected, and 30 s pass until it boots again: a long recovery to be interrupted in.
EJECTED = (
    *("long-crunch", "--policy", "none", *SHORT),
    *("--set", "crunch.depth=1", "--set", "crunch.jitter=0s", "--set", "crunch.every=1500ms"),
    *("--set", "crunch.length=1400ms", "--set", "phases.inject=1500ms"),
    *("--set", "fencing.reboot_delay=30s", "--set", "phases.recovery=30s"),
)


def moments() -> list[float]:
    dice = random.Random(SEED)  # noqa: S311
    return [round(dice.uniform(0, WHOLE_SECONDS), 2) for _ in range(5)]


@pytest.mark.parametrize("moment", moments())
def test_killed_at_any_moment_it_leaves_nothing_that_clean_does_not_remove(
    moment: float, tmp_path: Path
) -> None:
    command = Command("run", *EJECTED, "--out", tmp_path / "out")
    killed_leaves_nothing_that_clean_does_not_remove(command, moment)


PARTS = {
    "nbd": ((), {"nbdkit"}),
    "iscsi": (("block_io.transport=iscsi",), {"tgtd"}),
    "captures": (("capture=true",), {"tcpdump", "nbdkit"}),
    "corosync": (("membership=corosync",), {"corosync", "nbdkit"}),
    "pair": (("cluster.nodes=4", "block_io.pair=[n4, n3]"), {"nbdkit"}),
    "controller": (("cluster.controller=openflow",), {"nbdkit"}),
    "prometheus": (("--prometheus",), {"prometheus", "nbdkit"}),
}


@pytest.mark.parametrize(("keys", "programs"), PARTS.values(), ids=PARTS)
def test_killed_it_takes_along_all_that_it_has_started(
    keys: tuple[str, ...], programs: set[str], tmp_path: Path
) -> None:
    if "prometheus" in programs and shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    options = [each if each.startswith("--") else f"--set={each}" for each in keys]
    options.append("--set=phases.control=30s")
    command = Command("run", "control", *options, "--out", tmp_path / "out")
    try:
        command.wait_for("control")
        assert killed_ends_all_that_it_has_started(command) >= {"sh", *programs}
    finally:
        command.kill()
        run("clean")


def test_the_next_run_works_beside_what_a_killed_one_has_left(tmp_path: Path) -> None:
    killed = Command("run", *EJECTED, "--out", tmp_path / "killed")
    killed.wait_for("n1 is ejected")
    run_id = killed.run_id
    killed.kill()
    assert run_id is not None
    try:
        following = run("run", "control", *SHORT, "--out", tmp_path / "next")
        assert "verdict: " in following.output, following.errors
        assert (tmp_path / "next" / "result.json").exists()
        assert str(STATE_ROOT / run_id) in traces(run_id), "not that run's to remove"
    finally:
        run("clean")
    assert traces(run_id) == []


PHASES = ("start", "control", "inject", "recovery", "collect")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
@pytest.mark.parametrize("phase", PHASES)
def test_asked_to_end_it_takes_everything_back(
    phase: str, number: signal.Signals, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    scenario = ("control", *SHORT) if phase == "collect" else EJECTED
    command = Command("run", *scenario, "--out", out)
    try:
        command.wait_for(phase)
        run_id = command.run_id
        # As a terminal does it: to the runner and to whatever helper it has just started.
        os.killpg(command.popen.pid, number)
        code = command.end(8)
    finally:
        command.kill()
    assert code == 130, command.errors
    assert command.complaints == ["crunchbed: interrupted"]
    assert run_id is not None
    assert traces(run_id) == []
    assert [line for line in command.errors if "left behind" in line] == []
    assert (out / "scenario.json").exists()
    assert (out / "result.json").exists() == (out / "history.jsonl").exists()


def test_asked_again_and_again_it_still_takes_everything_back(tmp_path: Path) -> None:
    """While it is at it, and with all that it calls to that end."""
    command = Command("run", "control", *SHORT, "--out", tmp_path / "out")
    try:
        command.wait_for("control")
        run_id = command.run_id
        assert run_id is not None
        while (STATE_ROOT / run_id).exists():
            os.killpg(command.popen.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                command.popen.wait(0.01)
        command.end(20)
    finally:
        command.kill()
    assert [line for line in command.errors if "left behind" in line] == []
    assert traces(run_id) == []


def test_a_comparison_that_is_interrupted_begins_no_other_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = Command("compare", "control", "--policies", "none,memalloc", *SHORT, "--out", out)
    try:
        command.wait_for("control")
        run_id = command.run_id
        command.popen.send_signal(signal.SIGTERM)
        assert command.end(20) == 130, command.errors
    finally:
        command.kill()
    assert [re.sub(r"-\d+$", "", path.name) for path in out.iterdir()] == ["none"]
    assert run_id is not None
    assert traces(run_id) == []
