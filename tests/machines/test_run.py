"""Whole runs whose nodes are machines: verdicts and crunches."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from reserve_agent.contract.events.guests import GuestWindow
from tests.machines.clusters import TWO as BARE
from tests.system.command import Command, run

pytestmark = pytest.mark.root

TWO = (*BARE, "--set", "phases.control=2s")
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
