"""The block service of a real cluster goes over from one node of its pair to the other."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history import History
from nodes.process import start_ticks
from nodes.waiting import wait_until
from tests.system.command import Command, children, traces

pytestmark = pytest.mark.root

QUICK = (
    *("--set", "cluster.switch=linux-bridge", "--set", "phases.control=1s"),
    *("--set", "cluster.nodes=4", "--set", "block_io.pair=[n3, n4]", "--set", "expect=[]"),
    *("--set", "crunch=null"),
    *("--set", "phases.inject=4s", "--set", "traffic.rate=0"),
)


Outcome = tuple[int, Result, History]


class Failover:
    """One run of the shipped scenario, without its fault: the test has its own."""

    def __init__(self, out: Path, *more: str) -> None:
        self.out = out
        self.command = Command("run", "target-failover", *QUICK, *more, "--out", out)
        self.command.wait_for("inject")
        self.run_id = self.command.run_id
        self.pids = children(self.command.popen.pid)

    def signal(self, number: signal.Signals, *names: str) -> None:
        for name in names:
            os.kill(self.pids[name], number)

    def end(self) -> Outcome:
        try:
            code = self.command.end()
        finally:
            self.command.kill()
        assert self.run_id is not None
        assert traces(self.run_id) == []
        history = History.read(self.out / "history.jsonl")
        record = json.loads((self.out / "result.json").read_bytes())
        return code, Result.model_validate(record), history


def valid(attempt: Callable[[Path], Outcome], scratch: Path) -> Outcome:
    """The first of three runs that no load of the machine has disturbed, as ``compare`` does."""
    for number in range(3):
        outcome = attempt(scratch / f"out-{number}")
        if outcome[1].verdict != "invalid":
            break
    return outcome


def told(history: History, *kinds: str) -> list[tuple[str, str]]:
    return [(e.kind, e.data["target"]) for e in history.events if e.kind in kinds]


def test_a_server_that_dies_is_followed_by_the_other_and_no_write_is_lost(tmp_path: Path) -> None:
    def attempt(out: Path) -> Outcome:
        run = Failover(out)
        run.signal(signal.SIGKILL, "n3 service")
        return run.end()

    code, result, history = valid(attempt, tmp_path)
    assert (code, result.verdict, result.reasons) == (0, "pass", ())
    assert told(history, "service.start", "node.down", "fence.confirmed", "node.up")[4:] == [
        ("service.start", "n3"),
        ("node.down", "n3"),
        ("fence.confirmed", "n3"),
        ("service.start", "n4"),
        ("node.up", "n3"),
    ]
    assert (result.totals.failovers, result.totals.nodes_ejected) == (1, 1)
    assert result.totals.false_ejections == 0
    assert result.totals.writes_lost == 0
    assert result.totals.failover_seconds is not None
    assert 0.5 < result.totals.failover_seconds < 5
    last = history.of("service.start")[-1]
    acked = [event for event in history.of("write.ack") if event.t > last.t]
    assert {event.node for event in acked} == {"n1", "n2"}, "all resume at the new server"
    (read_back,) = history.of("verify.result")
    assert read_back.data["ok"] == read_back.data["checked"] > 100


def stall(out: Path, *more: str) -> Outcome:
    """Stop the daemons of the node that serves, but not its target, for longer than a deadline."""
    run = Failover(out, *more)
    daemons = ("n3 heartbeat", "n3 service")
    run.signal(signal.SIGSTOP, *daemons)
    time.sleep(1.2)
    for name in daemons:
        if start_ticks(run.pids[name]) is not None:
            run.signal(signal.SIGCONT, name)
    return run.end()


def test_a_stalled_server_is_cut_off_before_the_other_serves(tmp_path: Path) -> None:
    code, result, history = valid(stall, tmp_path)
    assert (code, result.verdict, result.reasons) == (0, "pass", ())
    assert told(history, "service.start", "node.down", "fence.confirmed")[1:] == [
        ("node.down", "n3"),
        ("fence.confirmed", "n3"),
        ("service.start", "n4"),
    ]
    assert result.totals.false_ejections == 1
    assert result.totals.writes_lost == 0


def test_without_the_confirmation_the_double_writer_is_found(tmp_path: Path) -> None:
    code, result, history = stall(tmp_path / "out", "--set", "fencing.confirm=false")
    # A daemon that was stopped from outside says that it was late: invalid outranks a failure.
    assert code in (1, 3), result.reasons
    (reason,) = [text for text in result.reasons if "double writer" in text]
    assert reason.startswith("double writer: n3 and n4 both served for ")
    order = told(history, "fence.confirmed", "service.start", "service.stop", "node.down")
    assert order.index(("service.start", "n4")) < order.index(("node.down", "n3"))


def target_pid(run: Failover, node: str) -> int:
    """The target that the node's service daemon has started."""
    daemon = run.pids[f"{node} service"]
    listed = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    return int(listed[0])


def test_a_target_that_dies_is_started_again_on_its_node(tmp_path: Path) -> None:
    def attempt(out: Path) -> Outcome:
        run = Failover(out)
        os.kill(target_pid(run, "n3"), signal.SIGKILL)
        return run.end()

    code, result, history = valid(attempt, tmp_path)
    assert (code, result.verdict, result.reasons) == (0, "pass", ())
    assert told(history, "service.start", "service.stop") == [
        ("service.start", "n3"),
        ("service.stop", "n3"),
        ("service.start", "n3"),
        ("service.stop", "n3"),
    ]
    assert history.of("service.stop")[0].data["reason"] == "target ended (-9)"
    assert (result.totals.failovers, result.totals.nodes_ejected) == (0, 0)
    assert result.totals.writes_lost == 0


def test_a_run_that_is_killed_takes_the_target_along(tmp_path: Path) -> None:
    run = Failover(tmp_path / "out")
    target = target_pid(run, "n3")
    run.command.kill()
    wait_until(lambda: start_ticks(target) is None, 5, "the target's end")
