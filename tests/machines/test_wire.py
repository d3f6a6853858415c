"""Machines whose packets a fault loses: who misses what, and for which reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from reserve_agent.contract.events.pressure import PacketDropped
from tests.system.command import run

pytestmark = pytest.mark.root

FAULTS = (
    "faults=[{kind: partition, target: [n1], after: 300ms, for: 450ms},"
    " {kind: loss, target: n2, from: n1, share: 1, after: 1500ms, for: 450ms}]"
)


def test_a_partition_is_deaf_on_both_sides_and_a_loss_on_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = run(
        *("run", "control", "--backend", "machines", "--set", "cluster.nodes=2"),
        *("--set", "cluster.switch=linux-bridge", "--set", "traffic.rate=0"),
        *("--set", "phases.control=1s", "--set", "phases.inject=3s", "--set", "expect=[]"),
        *("--set", "heartbeat.misses=10", "--set", FAULTS, "--out", out),
    )
    assert (out / "result.json").exists(), command.errors
    result = Result.read(out / "result.json")
    causes = {name: node.misses_by_cause for name, node in result.nodes.items()}
    assert causes["n1"]["partition"] >= 3
    assert causes["n2"]["partition"] >= 3
    assert causes["n2"]["loss"] >= 3
    assert causes["n1"]["loss"] == 0
    assert result.totals.writes_lost == 0
    assert result.totals.io_errors == 0, "both sides reach the storage host"
    drops = History.read(out / "history.jsonl").of(PacketDropped)
    assert {one.reason for one in drops} == {"lost"}
    tags = {(one.node, one.src, one.tag) for one in drops if one.cls == "heartbeat"}
    assert {node for node, _, _ in tags} == {"n1", "n2"}
    assert all(tag for _, _, tag in tags)
