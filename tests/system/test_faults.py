"""Faults in real runs: undone, told from each other and from memory, and refused in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.host.requirements import missing, requirement
from reserve_agent.contract.events.faults import (
    FaultBegan,
    FaultEnded,
    NodeDown,
    NodeUp,
    PortDown,
    PortUp,
)
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.pressure import PacketDropped
from reserve_agent.contract.events.run import Recovery
from tests.system.command import Command, run, traces

pytestmark = pytest.mark.root
QUICK = ("--set", "phases.control=1s", "--set", "cluster.switch=linux-bridge")
ATTEMPTS = 3


def attempt(tmp_path: Path, *arguments: str) -> tuple[Command, Path]:
    """Run until the machine leaves a run alone; the last attempt counts whatever it was."""
    for number in range(ATTEMPTS):
        out = tmp_path / f"out{number}"
        command = run("run", arguments[0], *QUICK, *arguments[1:], "--out", out)
        if command.popen.returncode != 3:
            break
    return command, out


def check(command: Command, out: Path) -> tuple[Result, History]:
    """What holds after every run with a fault."""
    assert command.popen.returncode == 0, (command.errors, command.output)
    history = History.read(out / "history.jsonl")
    begun = [event.fault for event in history.of(FaultBegan)]
    assert sorted(begun) == sorted(event.fault for event in history.of(FaultEnded))
    assert begun
    assert traces(json.loads((out / "run.json").read_bytes())["run"]) == []
    return Result.read(out / "result.json"), history


def share(result: Result, cause: str) -> float:
    return result.totals.misses_by_cause[cause] / result.totals.heartbeats_missed


def test_a_link_that_fails_is_a_true_ejection_and_never_blamed_on_memory(tmp_path: Path) -> None:
    result, history = check(*attempt(tmp_path, "link-down", "--set", "policy=none"))
    assert result.totals.heartbeats_missed >= 10
    assert share(result, "link") >= 0.95
    assert (result.totals.true_ejections, result.totals.false_ejections) == (1, 0)
    assert [e.target for e in history.of(PortDown)] == ["n1"]
    # It boots before its link is mended, and is a member again only afterwards.
    boots = [e.t for e in history.of(NodeUp) if e.target == "n1"]
    (mended,) = (e.t for e in history.of(FaultEnded))
    back = [e.t for e in history.of(ViewInstalled) if "n1" in e.added]
    assert boots[-1] < mended < max(back)


def test_links_that_fail_for_less_than_the_deadline_explain_all_that_is_missed(
    tmp_path: Path,
) -> None:
    """Also what is lost between a port's coming up and the first packet through it."""
    faults = ", ".join(
        f"{{kind: link-down, target: n{node}, after: {after}ms, for: 60ms}}"
        for node, after in ((1, 200), (2, 1800), (3, 3400))
    )
    settings = ("--set", f"faults=[{faults}]", "--set", "expect=[]")
    patient = ("--set", "heartbeat.misses=30", "--set", "phases.control=3s")
    result, history = check(*attempt(tmp_path, "control", *settings, *patient))
    assert result.totals.nodes_ejected == 0
    assert result.totals.heartbeats_missed >= 3
    assert share(result, "link") >= 0.95
    assert len(history.of(PortUp)) == 3


def test_a_stopped_daemon_a_lossy_wire_and_a_partition_are_told_apart(tmp_path: Path) -> None:
    faults = (
        "[{kind: loss, target: n2, share: 0.5, after: 100ms, for: 1500ms},"
        " {kind: stall, target: n3, after: 1700ms, for: 350ms},"
        " {kind: partition, target: n1, after: 2500ms, for: 1500ms}]"
    )
    settings = ("--set", f"faults={faults}", "--set", "expect=[]")
    result, history = check(*attempt(tmp_path, "control", *settings))
    causes = result.totals.misses_by_cause
    assert (
        set(causes)
        > {cause for cause, count in causes.items() if count}
        >= {
            "loss",
            "stalled_sender",
            "partition",
        }
    )
    explained = sum(causes[name] for name in ("loss", "stalled_sender", "partition"))
    assert explained >= 0.95 * result.totals.heartbeats_missed
    assert (result.totals.true_ejections, result.totals.false_ejections) == (1, 0)
    assert result.totals.flaps == 1
    assert {e.reason for e in history.of(PacketDropped)} == {"lost"}


def test_a_crashed_node_is_found_fenced_and_admitted_again(tmp_path: Path) -> None:
    faults = "[{kind: node-crash, target: n2, after: 200ms}]"
    settings = ("--set", f"faults={faults}", "--set", "expect=[]")
    result, history = check(*attempt(tmp_path, "control", *settings))
    assert (result.totals.true_ejections, result.totals.false_ejections) == (1, 0)
    assert result.totals.detection_delay_seconds is not None
    assert 0.2 < result.totals.detection_delay_seconds < 2
    assert share(result, "fenced_peer") >= 0.95
    downs = [(e.target, e.reason) for e in history.of(NodeDown)]
    assert downs == [("n2", "crash")]
    assert [e.healthy for e in history.of(Recovery)] == [True]


@pytest.mark.skipif(not missing([requirement("netem")]), reason="this kernel has netem")
def test_a_delay_is_refused_before_anything_starts_where_there_is_no_netem(tmp_path: Path) -> None:
    settings = ("--set", "faults=[{kind: delay}]")
    command = run("run", "control", *settings, "--out", tmp_path / "out")
    assert command.popen.returncode == 4
    (line,) = command.complaints
    assert "netem" in line
    assert "modprobe sch_netem" in line
    assert not (tmp_path / "out").exists()
