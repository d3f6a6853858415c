"""The block service of a real cluster goes over from one node of its pair to the other."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.host import leaks
from nodes.process import start_ticks
from nodes.waiting import wait_until
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.writes import (
    ServiceStarted,
    ServiceStopped,
    VerifyResult,
    WriteAcknowledged,
)
from tests.system.command import Command, children, traces

pytestmark = pytest.mark.root

QUICK = (
    *("--set", "cluster.switch=linux-bridge", "--set", "phases.control=1s"),
    *("--set", "cluster.nodes=4", "--set", "block_io.pair=[n4, n3]"),
    *("--set", "phases.inject=4s", "--set", "traffic.rate=0"),
)
NO_FAULT = ("--set", "faults=[]", "--set", "expect=[]")
NO_CONFIRMATION = ("--set", "fencing.confirm=false")
Outcome = tuple[int, Result, History]


class ServedRun:
    """One run of a shipped scenario with a pair, n4 serving first."""

    def __init__(self, out: Path, scenario: str, *more: str) -> None:
        self.out = out
        self.command = Command("run", scenario, *QUICK, *more, "--out", out)
        try:
            self.command.wait_for("inject", 90)
        except BaseException:
            self.command.kill()
            raise
        self.run_id = self.command.run_id
        self.pids = children(self.command.popen.pid)

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

    def target_pid(self, node: str) -> int:
        """The target that the node's service daemon has started."""
        daemon = self.pids[f"{node} service"]
        return int(Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()[0])


def valid(attempt: Callable[[Path], Outcome], scratch: Path) -> Outcome:
    """The first of three runs that no load of the machine has disturbed, as ``compare`` does."""
    for number in range(3):
        outcome = attempt(scratch / f"out-{number}")
        if outcome[1].verdict != "invalid":
            break
    return outcome


def outcome_of(scratch: Path, scenario: str, *more: str) -> Outcome:
    return valid(lambda out: ServedRun(out, scenario, *more).end(), scratch)


def told(history: History, *kinds: str) -> list[tuple[str, str]]:
    """What happened to whom, in order."""
    return [(e.kind, e.target) for e in history.events if e.kind in kinds]


@pytest.mark.parametrize("transport", ["nbd", "iscsi"])
def test_a_server_without_power_is_followed_by_the_other_and_no_write_is_lost(
    transport: str, tmp_path: Path
) -> None:
    more = ("--set", f"block_io.transport={transport}")
    code, result, history = outcome_of(tmp_path, "target-failover", *more)
    assert (code, result.verdict, result.reasons) == (0, "pass", ())
    assert told(history, "service.start", "service.stop", "node.down", "fence.confirmed") == [
        ("service.start", "n4"),
        ("node.down", "n4"),
        ("fence.confirmed", "n4"),
        ("service.start", "n3"),
        ("service.stop", "n3"),
    ]
    assert (result.totals.failovers, result.nodes["n3"].failovers) == (1, 1)
    assert result.totals.writes_lost == 0
    last = history.of(ServiceStarted)[-1]
    assert (last.transport, last.taken_from) == (transport, "n4")
    acked = [event for event in history.of(WriteAcknowledged) if event.t > last.t]
    assert {event.node for event in acked} == {"n1", "n2"}, "all resume at the new server"
    assert {event.transport for event in acked} == {transport}
    (read_back,) = history.of(VerifyResult)
    assert read_back.ok == read_back.checked > 100


def test_a_stalled_server_is_cut_off_before_the_other_serves(tmp_path: Path) -> None:
    code, result, history = outcome_of(tmp_path, "target-failover-stalled")
    assert (code, result.verdict, result.reasons) == (0, "pass", ())
    assert told(history, "service.start", "node.down", "fence.confirmed") == [
        ("service.start", "n4"),
        ("node.down", "n4"),
        ("fence.confirmed", "n4"),
        ("service.start", "n3"),
    ]
    assert result.totals.writes_lost == 0


@pytest.mark.parametrize(
    "more",
    [(), ("--set", "faults=[{kind: partition, target: n4, after: 500ms, for: 1500ms}]")],
    ids=["stalled", "partitioned"],
)
def test_without_the_confirmation_the_double_writer_is_found(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    code, result, history = outcome_of(tmp_path, "target-failover-stalled", *NO_CONFIRMATION, *more)
    assert (code, result.verdict) == (1, "fail"), result.reasons
    (reason,) = [text for text in result.reasons if "double writer" in text]
    assert reason.startswith("double writer: n3 and n4 both served for ")
    order = told(history, "fence.confirmed", "service.start", "service.stop", "node.down")
    assert order[:3] == [
        ("service.start", "n4"),
        ("fence.confirmed", "n4"),
        ("service.start", "n3"),
    ]


@pytest.mark.parametrize("policy", ["stop", "freeze"])
def test_a_server_without_quorum_stops_or_serves_until_its_fence(
    policy: str, tmp_path: Path
) -> None:
    more = ("--set", f"fencing.no_quorum={policy}", "--set", "phases.inject=7s")
    code, result, history = outcome_of(tmp_path, "lost-quorum", *more)
    assert (code, result.verdict) == ((0, "pass") if policy == "stop" else (1, "fail"))
    stopped = [("service.stop", "n4")] if policy == "stop" else []
    assert told(history, "service.start", "service.stop", "fence.confirmed") == [
        ("service.start", "n4"),
        *stopped,
        ("fence.confirmed", "n4"),
        ("service.start", "n3"),
        ("service.stop", "n3"),
    ]
    reasons = [event.reason for event in history.of(ServiceStopped)]
    assert reasons == ["no quorum", "shutdown"][-len(reasons) :]
    assert (result.totals.failover_longest_seconds or 0) > (2.8 if policy == "stop" else 0)
    assert (result.totals.true_ejections, result.totals.writes_lost) == (1, 0)


def test_a_node_that_ignores_its_lost_quorum_fences_the_majority(tmp_path: Path) -> None:
    """The majority boots while the link is still down, and forms a cluster beside the one node."""
    more = (
        *("--set", "membership=corosync", "--set", "fencing.no_quorum=ignore"),
        *("--set", "phases.control=2s", "--set", "phases.inject=10s"),
        *("--set", "faults[0].for=8s"),
    )
    code, result, history = outcome_of(tmp_path, "lost-quorum", *more)
    assert (code, result.verdict) == (1, "fail")
    assert {target for _, target in told(history, "fence.confirmed")} >= {"n1", "n2", "n3"}
    assert told(history, "service.start") == [("service.start", "n4")]
    assert any(reason.startswith("split brain: ") for reason in result.reasons), result.reasons


def test_a_target_that_dies_is_started_again_on_its_node(tmp_path: Path) -> None:
    fault = "faults=[{kind: target-crash, target: storage, after: 500ms}]"
    more = ("--set", fault, "--set", "expect=[]")
    code, result, history = outcome_of(tmp_path, "target-failover", *more)
    assert (code, result.verdict, result.reasons) == (0, "pass", ())
    assert told(history, "service.start", "service.stop") == [
        ("service.start", "n4"),
        ("service.stop", "n4"),
        ("service.start", "n4"),
        ("service.stop", "n4"),
    ]
    assert history.of(ServiceStopped)[0].reason == "target ended (-9)"
    assert (result.totals.failovers, result.totals.nodes_ejected) == (0, 0)
    assert result.totals.writes_lost == 0


def test_a_service_daemon_that_is_killed_takes_its_node_down(tmp_path: Path) -> None:
    def attempt(out: Path) -> Outcome:
        run = ServedRun(out, "target-failover", *NO_FAULT)
        os.kill(run.pids["n4 service"], signal.SIGKILL)
        return run.end()

    code, result, history = valid(attempt, tmp_path)
    assert (code, result.verdict, result.reasons) == (0, "pass", ())
    assert [event.reason for event in history.of(NodeDown)] == ["watchdog"]
    assert (result.totals.failovers, result.totals.true_ejections) == (1, 1)
    assert result.totals.writes_lost == 0


def test_a_run_that_is_killed_takes_the_target_along(tmp_path: Path) -> None:
    run = ServedRun(tmp_path / "out", "target-failover", *NO_FAULT)
    assert run.run_id is not None
    target = run.target_pid("n4")
    try:
        run.command.kill()
        wait_until(lambda: start_ticks(target) is None, 5, "the target's end")
    finally:
        leaks.clean_run(run.run_id)
    assert traces(run.run_id) == []
