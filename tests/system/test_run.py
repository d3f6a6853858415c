"""The main job through the real command line: a crunch, two policies, figures from a history."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.faults import NodeUp
from reserve_agent.contract.events.heartbeats import HeartbeatMissed
from reserve_agent.contract.events.membership import FenceConfirmed, FenceStarted, ViewInstalled
from reserve_agent.contract.events.pressure import HookEventsLost
from reserve_agent.contract.events.run import EventsLost
from reserve_agent.contract.events.writes import VerifyResult, WriteAcknowledged
from tests.system.command import SHORT, Command, children, run, traces

pytestmark = pytest.mark.root
SMALL = (
    *("--set", "crunch.pages=10000", "--set", "crunch.jitter=50ms"),
    *("--set", "phases.control=1s", "--set", "fencing.reboot_delay=500ms"),
)


def scenario_of(directory: Path) -> Scenario:
    return Scenario.model_validate(json.loads((directory / "scenario.json").read_bytes()))


def check_directory(directory: Path) -> tuple[Result, History]:
    """What every complete run directory holds, and that its figures are those of its history."""
    names = {path.name for path in directory.iterdir()}
    assert names >= {"history.jsonl", "result.json", "run.json", "scenario.json", "logs"}
    assert "history" not in names, "the parts go when the whole is there"
    lines = (directory / "history.jsonl").read_bytes().splitlines()
    times = [json.loads(line)["t"] for line in lines]
    assert times == sorted(times)
    history = History.read(directory / "history.jsonl")
    assert {event.node for event in history.events} == {"n1", "n2", "n3", "run", "storage"}
    written = json.loads((directory / "result.json").read_bytes())
    assert judge(history, scenario_of(directory)).model_dump(mode="json") == written
    run_id = json.loads((directory / "run.json").read_bytes())["run"]
    assert traces(run_id) == []
    return Result.model_validate(written), history


def test_without_a_reserve_the_crunched_node_is_ejected_and_with_memalloc_nobody(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    policies = ("--policies", "none,memalloc")
    command = run("compare", "writeback-crunch", *policies, *SMALL, "--json", "--out", out)
    assert command.popen.returncode == 0, (command.errors, command.output)
    record = json.loads(command.output)
    assert record == json.loads((out / "comparison.json").read_bytes())
    assert [one["holds"] for one in record["expectations"]] == [True] * 4

    none, events = check_directory(out / "none-1")
    assert none.nodes["n1"].false_ejections == none.totals.nodes_ejected == 1
    assert [event.target for event in events.of(FenceConfirmed)] == ["n1"]
    assert [event.target for event in events.of(NodeUp)] == ["n1", "n2", "n3", "n1"]
    removed = [view.removed for view in events.of(ViewInstalled, "n2")]
    assert ["n1"] in removed

    memalloc, events = check_directory(out / "memalloc-1")
    assert memalloc.totals.nodes_ejected == 0
    assert len(events.of(FenceStarted)) == 0
    assert memalloc.totals.pressure_seconds > 0.3

    for result, directory in ((none, "none-1"), (memalloc, "memalloc-1")):
        history = History.read(out / directory / "history.jsonl")
        assert result.verdict == "pass"
        assert result.totals.writes_lost == 0
        assert result.totals.writes_acknowledged == len(history.of(WriteAcknowledged)) > 300
        assert result.totals.heartbeats_missed == len(history.of(HeartbeatMissed))
        (read_back,) = history.of(VerifyResult)
        assert read_back.checked == read_back.ok == blocks_written(history)


def blocks_written(history: History) -> int:
    """Different blocks of which a write was acknowledged."""
    return len(
        {
            block
            for event in history.of(WriteAcknowledged)
            for block in range(event.block, event.block + event.blocks)
        }
    )


def test_without_a_crunch_nothing_is_missed(tmp_path: Path) -> None:
    """By ``compare``, which makes a run again that a busy machine has disturbed."""
    short = ("--set", "phases.control=1s", "--set", "phases.inject=1s")
    policy = ("--policies", "memalloc")
    command = run("compare", "control", *policy, *short, "--out", tmp_path / "out")
    assert command.popen.returncode == 0, (command.errors, command.output)
    result, history = check_directory(tmp_path / "out" / "memalloc-1")
    assert (result.verdict, result.reasons) == ("pass", ())
    assert (result.totals.heartbeats_missed, result.totals.nodes_ejected) == (0, 0)
    assert result.totals.heartbeats_sent > 100
    assert len(history.of(EventsLost)) == len(history.of(HookEventsLost)) == 0
    assert "holds    heartbeats_missed == 0" in command.output


TWIN = """
name: twin
claim: Two runs on one machine do not see each other.
# Open vSwitch's userspace datapath is one thread for all: a run that starts makes it pause.
cluster: {switch: linux-bridge}
phases: {control: 1500ms, inject: 500ms}
expect: [nodes_ejected == 0, io_errors == 0, writes_lost == 0]
"""


def test_two_runs_stand_side_by_side(tmp_path: Path) -> None:
    """Same names, same addresses; that they share processors may well cost a heartbeat."""
    scenario = tmp_path / "twin.yaml"
    scenario.write_text(TWIN)
    one = Command("run", scenario, "--out", tmp_path / "one")
    other = Command("run", scenario, "--out", tmp_path / "other")
    try:
        one.wait_for("control")
        other.wait_for("control")
        ids = {one.run_id, other.run_id}
        assert None not in ids
        assert len(ids) == 2
        codes = {one.end(), other.end()}
    finally:
        one.kill()
        other.kill()
    assert codes == {0}, (one.complaints, one.output, other.complaints, other.output)
    for name in ("one", "other"):
        result, _ = check_directory(tmp_path / name)
        assert result.totals.writes_acknowledged > 100


@pytest.mark.parametrize(
    ("victim", "phase"),
    [
        ("n2 agent", "control"),
        ("n1 agent", "inject"),
        ("storage target", "control"),
        ("n1 initiator", "inject"),
    ],
)
def test_a_part_that_dies_makes_the_run_invalid(victim: str, phase: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    longer = ("--set", "phases.control=5s") if phase == "control" else ()
    command = Command("run", "writeback-crunch", *SHORT, *longer, "--out", out)
    try:
        command.wait_for(phase)
        run_id = command.run_id
        os.kill(children(command.popen.pid)[victim], signal.SIGKILL)
        code = command.end(20)
    finally:
        command.kill()
    assert code == 3, command.errors
    (line,) = command.complaints
    assert line.startswith(f"crunchbed: {victim} ended by itself (-9): "), line
    assert run_id is not None
    assert traces(run_id) == []
    result = json.loads((out / "result.json").read_bytes())
    assert result["verdict"] == "invalid"
    assert result["reasons"] == [line.removeprefix("crunchbed: ")]
    parts = {path.name for path in (out / "history").iterdir()}
    assert parts == {"n1.jsonl", "n2.jsonl", "n3.jsonl", "run.jsonl"}, "what there is stays"
