"""Whole runs whose nodes are machines, and a comparison of two."""

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


def test_control_misses_nothing_and_says_what_it_ran_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = run("run", "control", *TWO, "--set", "phases.inject=2s", "--out", out)
    result = Result.read(out / "result.json")
    assert (result.verdict, result.reasons) == ("pass", ()), command.errors
    assert command.popen.returncode == 0
    assert result.totals.heartbeats_sent > 50
    assert result.totals.writes_acknowledged > 50
    assert result.totals.writes_lost == 0
    assert {"qemu", "accelerator", "guest kernel", "nic"} <= result.versions.keys()
    assert result.versions["guest kernel"].startswith("6.1.")


def test_a_comparison_holds_what_its_scenario_claims(tmp_path: Path) -> None:
    """A quarter of the reserve makes a machine deaf that has no flagged socket."""
    short = ("--set", "phases.inject=3s", "--set", "detector={kind: fixed}")
    command = Command("compare", "kernel-levels", *TWO, *short, "--out", tmp_path / "out")
    try:
        assert command.end(180) == 0, (command.output, command.errors)
    finally:
        command.kill()
    assert "holds    none.heartbeats_missed > 5" in command.output
    assert "holds    memalloc.heartbeats_missed == 0" in command.output
    runs = {path.parent.name: Result.read(path) for path in tmp_path.glob("out/*/result.json")}
    assert {name: result.verdict for name, result in runs.items()} == {
        "memalloc-1": "pass",
        "none-1": "pass",
    }
    for name in runs:
        history = History.read(tmp_path / "out" / name / "history.jsonl")
        (window,) = history.of(GuestWindow, "n1")
        assert abs(window.reached_pages - window.requested_pages) <= 3
