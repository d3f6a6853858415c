"""Whole runs whose nodes are machines, and a comparison of two."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.checks.levels import levels
from crunchbed.checks.result import Result
from crunchbed.history.history import History
from reserve_agent.contract.events.guests import GuestWindow
from reserve_agent.contract.events.pressure import PoolSampled
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
    """A node hears all down to half of its reserve; at a quarter the flags decide."""
    command = Command("compare", "kernel-levels", *TWO, "--out", tmp_path / "out")
    try:
        assert command.end(180) == 0, (command.output, command.errors)
    finally:
        command.kill()
    assert "holds    none.heartbeats_missed > 5" in command.output
    runs = {path.parent.name: Result.read(path) for path in tmp_path.glob("out/*/result.json")}
    assert {name: result.verdict for name, result in runs.items()} == {
        "memalloc-1": "pass",
        "none-1": "pass",
    }
    hears = {}
    for name in runs:
        history = History.read(tmp_path / "out" / name / "history.jsonl")
        for window in history.of(GuestWindow, "n1"):
            assert abs(window.reached_pages - window.requested_pages) <= 3
        hears[name] = {round(one.level, 2): one.hears for one in levels(history)}
    assert {level: hears["memalloc-1"][level] for level in (1, 0.5, 0.25)} == dict.fromkeys(
        (1, 0.5, 0.25), "all"
    )
    assert (hears["none-1"][1], hears["none-1"][0.5]) == ("all", "all")
    assert hears["none-1"][0.25] != "all"
    assert (runs["memalloc-1"].totals.memalloc_failures or 0) > 0, "at level 0 no page is left"


def test_a_flood_for_a_reader_that_does_not_read_is_memory_pressure(tmp_path: Path) -> None:
    flood = ("--set", "crunch={kind: flood, rate: 4000, duration: 2s, jitter: 0s}")
    out = tmp_path / "out"
    command = run("run", "control", *TWO, *flood, "--set", "phases.inject=4s", "--out", out)
    result = Result.read(out / "result.json")
    assert result.verdict in ("pass", "fail"), (result.reasons, command.errors)
    assert result.crunch_achieved is not None
    assert result.crunch_achieved["pressure_seconds"] > 0.5
    hoarded = [one.hoarded for one in History.read(out / "history.jsonl").of(PoolSampled, "n1")]
    assert max(hoarded) - hoarded[-1] > 100, "more than the usual buffer beside the ballast"
    assert result.totals.reserve_low_water_pages < result.totals.reserve_pages
    assert result.totals.writes_lost == 0
