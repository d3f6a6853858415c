"""Faults that overlap on one thing, in real runs: one short run for each group of pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from crunchbed.host.requirements import missing, requirement
from reserve_agent.contract.events.faults import FaultBegan, FaultEnded, PortUp
from reserve_agent.contract.events.pressure import PoolConfigured
from reserve_agent.contract.events.writes import WriteAcknowledged
from tests.system.command import run, traces

pytestmark = pytest.mark.root
QUICK = ("--set", "phases.control=1s", "--set", "phases.inject=4s")
ATTEMPTS = 3


def measured(tmp_path: Path, *faults: dict[str, Any]) -> tuple[Result, History]:
    """Run ``control`` with these faults; once more where the machine did not leave it alone."""
    for number in range(ATTEMPTS):
        out = tmp_path / f"out{number}"
        wanted = ("--set", f"faults={json.dumps(faults)}", "--set", "expect=[]")
        command = run("run", "control", *QUICK, *wanted, "--out", out)
        if command.popen.returncode != 3:
            break
    assert command.popen.returncode in (0, 1), (command.errors, command.output)
    history = History.read(out / "history.jsonl")
    assert len(history.of(FaultBegan)) == len(history.of(FaultEnded)) == len(faults)
    assert not any(event.impossible for event in history.of(FaultBegan))
    assert traces(json.loads((out / "run.json").read_bytes())["run"]) == []
    result = Result.read(out / "result.json")
    assert result.totals.writes_lost == 0
    return result, history


def around(kind: str, inner: str | None = None, **keys: object) -> list[dict[str, object]]:
    """A fault of 1.5 s, and one of 0.3 s inside it."""
    outer = {"kind": kind, "after": "500ms", "for": "1500ms", **(keys if inner is None else {})}
    return [outer, {"kind": inner or kind, "after": "800ms", "for": "300ms", **keys}]


def still_held(history: History) -> list[list[str]]:
    return [list(event.still_held or ()) for event in history.of(FaultEnded)]


def test_a_stall_inside_a_stall_wakes_nobody(tmp_path: Path) -> None:
    result, history = measured(tmp_path, *around("stall", target="n3"))
    assert (result.totals.nodes_ejected, result.totals.true_ejections) == (1, 1)
    assert result.totals.heartbeats_missed >= 10
    assert still_held(history) == [["daemon heartbeat of n3"], []]


def test_a_reserve_has_its_own_size_in_the_end(tmp_path: Path) -> None:
    one = {"kind": "resize-reserve", "pages": 64, "after": "500ms", "for": "1s"}
    other = {"kind": "resize-reserve", "pages": 32, "after": "1s", "for": "2s"}
    _, history = measured(tmp_path, one, other)
    sizes = [event.reserve for event in history.of(PoolConfigured, "n1")]
    begin = next(event.t for event in history.of(FaultBegan))
    during = [event.reserve for event in history.of(PoolConfigured, "n1") if event.t > begin]
    assert (during[0], during[1], sizes[-1]) == (64, 32, 256)
    assert min(sizes) == 32


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("target-crash", "target-crash"),
        ("slow-disk", "target-crash"),
        ("target-crash", "slow-disk"),
        ("slow-disk", "slow-disk"),
        ("target-crash", "stall"),
        ("slow-disk", "stall"),
    ],
)
def test_the_target_comes_back_once_nothing_holds_it(
    outer: str, inner: str, tmp_path: Path
) -> None:
    one, other = around(outer, inner)
    keys = {"target": "storage"} if inner == "stall" else {}
    result, history = measured(tmp_path, one, {**other, **keys})
    last = max(event.t for event in history.of(FaultEnded))
    acknowledged = [event.t for event in history.of(WriteAcknowledged) if event.t > last]
    assert len(acknowledged) > 100, "the nodes write again"
    assert result.totals.nodes_ejected == 0
    if outer == "target-crash":
        stalled = result.totals.io_longest_stall_seconds
        assert stalled is not None
        assert stalled > 1.4, "the inner fault did not start the target"


def test_links_switches_and_packets(tmp_path: Path) -> None:
    result, history = measured(
        tmp_path,
        *around("link-down"),
        {"kind": "partition", "target": ["n1"], "after": "600ms", "for": "400ms"},
        {"kind": "loss", "share": 0.5, "after": "700ms", "for": "1s"},
        {"kind": "loss", "share": 1, "from": "n2", "after": "700ms", "for": "1s"},
    )
    assert (result.totals.nodes_ejected, result.totals.false_ejections) == (1, 0)
    assert any(one and one[0].startswith("link n1") for one in still_held(history))


def test_a_link_that_is_down_when_its_switch_crashes(tmp_path: Path) -> None:
    _, history = measured(tmp_path, *around("link-down", "switch-crash"))
    ups = {event.switch for event in history.of(PortUp) if event.target == "n1"}
    assert ups == {"s1", None}, "each fault's part of it has ended"


@pytest.mark.parametrize("kind", ["agent-crash", "node-crash"])
def test_what_is_down_already_is_no_target(kind: str, tmp_path: Path) -> None:
    faults = json.dumps(around(kind, target="n3"))
    command = run("run", "control", *QUICK, "--set", f"faults={faults}", "--out", tmp_path / "out")
    assert command.popen.returncode == 3, (command.errors, command.output)
    history = History.read(tmp_path / "out" / "history.jsonl")
    begun = history.of(FaultBegan)
    assert [event.impossible is None for event in begun] == [True, False]


@pytest.mark.skipif(bool(missing([requirement("netem")])), reason="needs netem")
def test_the_longer_delay_counts(tmp_path: Path) -> None:
    one, other = around("delay", target="n1")
    _, history = measured(tmp_path, {**one, "delay": "20ms"}, {**other, "delay": "5ms"})
    assert still_held(history) == [["delay to n1"], []]
