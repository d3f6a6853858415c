"""A part of the testbed that stands still makes a run invalid, and is named; a stall does not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import orjson
import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.host.run_ids import STATE_ROOT, RunRecord
from nodes.waiting import wait_until
from reserve_agent.contract.events.run import PartLate
from tests.system.command import Command, run, traces

pytestmark = pytest.mark.root
QUICK = (
    *("--set", "cluster.switch=linux-bridge", "--set", "heartbeat.interval=100ms"),
    *("--set", "heartbeat.misses=5", "--set", "phases.control=1500ms"),
    *("--set", "phases.inject=3s", "--set", "fencing.reboot_delay=200ms"),
)
BEARABLE = 0.4
LOOKS = 0.25
"""Two looks, and as much for a busy machine."""


def pid_of(command: Command, name: str) -> int:
    if name == "run":
        return command.popen.pid
    assert command.run_id is not None
    record = RunRecord.read(STATE_ROOT / command.run_id)
    assert record is not None
    return next(one.pid for one in record.processes if one.name == name)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def stop_for(pid: int, seconds: float) -> None:
    with stopped(pid):
        until = monotonic() + seconds
        wait_until(lambda: monotonic() >= until, seconds + 1, "the time is up")


def judged(command: Command, out: Path) -> tuple[Result, History]:
    """An invalid run that left nothing behind."""
    assert command.end() == 3, (command.errors, command.output)
    result = Result.read(out / "result.json")
    assert result.verdict == "invalid", result.reasons
    assert traces(orjson.loads((out / "run.json").read_bytes())["run"]) == []
    return result, History.read(out / "history.jsonl")


@pytest.mark.parametrize(
    ("name", "seconds", "words"),
    [
        ("run", 4.0, "the run itself"),
        ("n1 initiator", 2.5, "the initiator of n1"),
        ("storage target", 1.6, "the target of storage"),
        ("n2 agent", 1.5, "the agent of n2"),
        ("n3 traffic", 1.0, "the traffic of n3"),
    ],
)
def test_a_part_that_stands_still_in_the_injection(
    tmp_path: Path, name: str, seconds: float, words: str
) -> None:
    out = tmp_path / "out"
    command = Command("run", "control", *QUICK, "--out", out)
    command.wait_for("inject")
    stop_for(pid_of(command, name), seconds)
    result, _ = judged(command, out)
    (reason,) = (one for one in result.reasons if one.startswith(f"{words} stood still for "))
    told = float(reason.split(" s in the phase inject")[0].split()[-1])
    assert seconds - LOOKS < told < seconds + LOOKS
    assert result.totals.testbed_late_seconds is not None
    assert result.totals.testbed_late_seconds >= seconds - LOOKS


def test_a_traffic_source_that_stands_still_to_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = Command("run", "control", *QUICK, "--out", out)
    command.wait_for("inject")
    os.kill(pid_of(command, "storage traffic"), signal.SIGSTOP)
    result, history = judged(command, out)
    (reason,) = (one for one in result.reasons if "stood still" in one)
    assert reason.startswith("the traffic of storage stood still for 2.")
    assert [one.why for one in history.of(PartLate, "storage")] == ["stopped"]


@pytest.mark.parametrize("phase", ["control", "inject"])
def test_a_heartbeat_daemon_that_is_fenced_as_it_stands(tmp_path: Path, phase: str) -> None:
    """Nobody hears of its lateness from the daemon: the fence ends it."""
    out = tmp_path / "out"
    command = Command("run", "control", *QUICK, "--out", out)
    command.wait_for(phase)
    os.kill(pid_of(command, "n1 heartbeat"), signal.SIGSTOP)
    result, _ = judged(command, out)
    assert result.totals.nodes_ejected == 1
    assert result.totals.misses_by_cause["testbed"] >= 5
    assert any(one.startswith("the heartbeat of n1 stood still for ") for one in result.reasons)


def test_a_stall_that_the_scenario_asks_for_is_not_lateness(tmp_path: Path) -> None:
    faults = (
        "[{kind: stall, target: n3, daemons: [initiator, traffic], after: 100ms, for: 1s},"
        " {kind: stall, target: n3, daemons: [initiator], after: 600ms, for: 1s},"
        " {kind: stall, target: storage, after: 1800ms, for: 900ms}]"
    )
    settings = ("--set", f"faults={faults}", "--set", "expect=[]")
    out = tmp_path / "out"
    command = run("run", "control", *QUICK, *settings, "--out", out)
    history = History.read(out / "history.jsonl")
    lasted = {(e.node, e.part): e.late_ns / 1e9 for e in history.of(PartLate) if e.part != "run"}
    assert lasted["n3", "traffic"] > 1 - LOOKS
    assert lasted["n3", "initiator"] > 1.5 - LOOKS
    assert lasted["storage", "target"] > 0.9 - LOOKS
    result = Result.read(out / "result.json")
    held = [one for one in result.reasons if "n3 stood" in one or "storage stood" in one]
    assert held == [], command.errors
