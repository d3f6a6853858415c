"""Whole runs whose nodes are machines: verdicts, crunches, ends by force, and what is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from nodes.waiting import wait_until
from reserve_agent.contract.events.guests import GuestWindow
from reserve_agent.contract.events.pressure import PoolSampled
from tests.system.command import Command, children, run, traces

pytestmark = pytest.mark.root

TWO = (
    *("--backend", "machines", "--set", "cluster.nodes=2", "--set", "cluster.switch=linux-bridge"),
    *("--set", "phases.control=2s", "--set", "traffic.rate=0"),
)
TIMED = (
    *("--set", "crunch={kind: timed, count: 1, length: 1500ms, every: 2s, depth: 0.75}"),
    *("--set", "phases.inject=3s", "--set", "detector={kind: fixed}"),
)


def result_of(command: Command, out: Path) -> Result:
    assert (out / "result.json").exists(), (command.popen.returncode, command.errors)
    return Result.read(out / "result.json")


def test_control_misses_nothing_and_says_what_it_ran_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = run("run", "control", *TWO, "--set", "phases.inject=2s", "--out", out)
    result = result_of(command, out)
    assert (result.verdict, result.reasons) == ("pass", ()), command.errors
    assert command.popen.returncode == 0
    assert result.totals.heartbeats_sent > 50
    assert result.totals.writes_acknowledged > 50
    assert result.totals.writes_lost == 0
    assert {"qemu", "accelerator", "guest kernel", "nic"} <= result.versions.keys()
    assert result.versions["guest kernel"].startswith("6.1.")


def test_a_quarter_of_the_reserve_makes_a_node_deaf_that_has_no_flagged_socket(
    tmp_path: Path,
) -> None:
    missed = {}
    for policy in ("none", "memalloc"):
        out = tmp_path / policy
        command = run("run", "control", *TWO, *TIMED, "--policy", policy, "--out", out)
        result = result_of(command, out)
        assert result.verdict in ("pass", "fail"), (result.reasons, command.errors)
        missed[policy] = result.totals.heartbeats_missed
        (window,) = History.read(out / "history.jsonl").of(GuestWindow, "n1")
        assert abs(window.reached_pages - window.requested_pages) <= 3
        assert result.totals.writes_lost == 0
    assert missed["memalloc"] == 0
    assert missed["none"] >= 5


def test_a_flood_for_a_reader_that_does_not_read_is_memory_pressure(tmp_path: Path) -> None:
    flood = ("--set", "crunch={kind: flood, rate: 4000, duration: 2s, jitter: 0s}")
    out = tmp_path / "out"
    command = run("run", "control", *TWO, *flood, "--set", "phases.inject=4s", "--out", out)
    result = result_of(command, out)
    assert result.verdict in ("pass", "fail"), (result.reasons, command.errors)
    assert result.crunch_achieved is not None
    assert result.crunch_achieved["pressure_seconds"] > 0.5
    hoarded = [one.hoarded for one in History.read(out / "history.jsonl").of(PoolSampled, "n1")]
    assert max(hoarded) - hoarded[-1] > 100, "more than the usual buffer beside the ballast"
    assert result.totals.reserve_low_water_pages < result.totals.reserve_pages
    assert result.totals.writes_lost == 0


@pytest.fixture
def booting(tmp_path: Path) -> Iterator[Command]:
    """A run whose machines boot."""
    command = Command("run", "control", *TWO, "--out", tmp_path / "out")
    wait_until(lambda: "n2 machine" in children(command.popen.pid), 30, "machines boot")
    yield command
    if command.popen.poll() is None:
        command.kill()
    run("clean")


def test_killed_in_the_boot_it_leaves_nothing_that_clean_does_not_remove(booting: Command) -> None:
    run_id, machines = booting.run_id, children(booting.popen.pid)
    assert run_id is not None
    booting.kill()
    assert run("clean").popen.returncode == 0
    assert traces(run_id) == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in machines.values())


def test_ctrl_c_in_the_boot_takes_everything_back(booting: Command) -> None:
    run_id = booting.run_id
    assert run_id is not None
    booting.popen.send_signal(signal.SIGINT)
    assert booting.end() == 130
    assert traces(run_id) == []


def test_a_qemu_that_is_killed_makes_the_run_invalid(booting: Command) -> None:
    run_id = booting.run_id
    assert run_id is not None
    os.kill(children(booting.popen.pid)["n1 machine"], signal.SIGKILL)
    assert booting.end() == 3
    assert any("n1 machine ended by itself (-9)" in line for line in booting.errors)
    assert traces(run_id) == []
