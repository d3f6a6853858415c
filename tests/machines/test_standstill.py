"""A machine that stands still though no fault has stopped it: seen from outside."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from nodes.waiting import wait_until
from reserve_agent.contract.events.run import PartLate
from tests.system.command import Command, children, run, traces

pytestmark = pytest.mark.root

STOPPED_SECONDS = 1.5


def test_a_qemu_that_somebody_stops_makes_the_run_invalid_and_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = Command(
        *("run", "control", "--backend", "machines", "--set", "cluster.nodes=2"),
        *("--set", "cluster.switch=linux-bridge", "--set", "traffic.rate=0"),
        *("--set", "phases.control=4s", "--set", "phases.inject=1s", "--out", out),
    )
    try:
        history = out / "history" / "run.jsonl"
        wait_until(
            lambda: history.exists() and '"control"' in history.read_text(), 90, "control begins"
        )
        run_id = command.run_id
        assert run_id is not None
        machine = children(command.popen.pid)["n1 machine"]
        os.kill(machine, signal.SIGSTOP)
        threading.Timer(STOPPED_SECONDS, os.kill, (machine, signal.SIGCONT)).start()
        assert command.end() == 3
    finally:
        if command.popen.poll() is None:
            command.kill()
            run("clean")
    result = Result.read(out / "result.json")
    assert any("the machine of n1 stood still for 1." in reason for reason in result.reasons)
    late = [one for one in History.read(out / "history.jsonl").of(PartLate) if one.node == "n1"]
    (stopped,) = [one for one in late if one.why == "stopped"]
    assert stopped.part == "machine"
    assert abs(stopped.late_ns / 1e9 - STOPPED_SECONDS) < 0.2
    assert traces(run_id) == []
