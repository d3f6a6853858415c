"""Runs that are sabotaged while they go on: none says `pass` or `fail` for what it cannot know."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.host import leaks
from tests.system.command import Command, run

pytestmark = pytest.mark.root
QUICK = (
    *("run", "control", "--set", "cluster.switch=linux-bridge"),
    *("--set", "heartbeat.interval=50ms", "--set", "heartbeat.misses=20"),
    *("--set", "phases.control=1s", "--set", "phases.inject=2s", "--set", "phases.recovery=4s"),
)


def result_of(out: Path) -> dict[str, Any]:
    result: dict[str, Any] = orjson.loads((out / "result.json").read_bytes())
    return result


def ended(out: Path, *settings: str) -> dict[str, Any]:
    """Make a run to its end, and return its result."""
    made = run(*QUICK, *(word for one in settings for word in ("--set", one)), "--out", out)
    assert made.popen.returncode == 3, (made.errors, made.output)
    return result_of(out)


def test_a_part_of_the_history_that_is_truncated_makes_it_unknown(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = Command(*QUICK, "--out", out)
    try:
        command.wait_for("inject")
        part = out / "history" / "n2.jsonl"
        os.truncate(part, part.stat().st_size // 2)
        assert command.end(30) == 3
    finally:
        command.kill()
    result = result_of(out)
    assert result["verdict"] == "unknown"
    assert result["reasons"][0].startswith("the history of n2 is not whole: "), result["reasons"]


def test_a_run_whose_injector_is_killed_is_unknown(tmp_path: Path) -> None:
    out = tmp_path / "out"
    crunch = "crunch={kind: timed, target: n1, length: 900ms, count: 1, every: 1s, depth: 1}"
    command = Command(*QUICK, "--set", crunch, "--out", out)
    command.wait_for("inject")
    run_id = command.run_id
    command.kill()
    try:
        judged = run("judge", out, "--json")
        assert judged.popen.returncode == 3, judged.errors
        result = orjson.loads(judged.output)
        words = "the run did not come to its end: the parts of its history were not merged"
        assert (result["verdict"], result["reasons"]) == ("unknown", [words])
    finally:
        if run_id is not None:
            leaks.clean_run(run_id)


def test_a_journal_that_overflows_makes_it_invalid(tmp_path: Path) -> None:
    """4096 begins and ends of pressure are what the hooks keep for an agent that is away."""
    result = ended(
        tmp_path / "out",
        "crunch={kind: timed, target: n1, length: 50us, count: 3000, every: 500us, depth: 1}",
        "faults=[{kind: agent-crash, target: n1, after: 400ms, for: 1600ms}]",
    )
    assert result["verdict"] == "invalid"
    assert any(
        "events of the hooks of n1 were lost: pressure and causes are unknown" in reason
        for reason in result["reasons"]
    ), result["reasons"]


def test_a_burst_that_meets_nothing_makes_it_invalid(tmp_path: Path) -> None:
    result = ended(tmp_path / "out", "faults=[{kind: burst, target: n2, pages: 10, after: 0s}]")
    assert result["verdict"] == "invalid"
    assert result["reasons"] == [
        "fault off target: burst of n2: n2 never came under memory pressure"
    ]
