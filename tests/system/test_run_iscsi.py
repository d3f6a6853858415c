"""Whole runs over iSCSI, and what a target that dies leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from reserve_agent.contract.events.run import RunInfo
from reserve_agent.contract.events.writes import VerifyResult, WriteAcknowledged
from tests.system.command import run, traces

pytestmark = pytest.mark.root
ISCSI = (
    *("--set", "block_io.transport=iscsi", "--set", "cluster.switch=linux-bridge"),
    *("--set", "block_io.iscsi.chap={user: me, secret: twelve-chars}"),
    *("--set", "phases.control=1s", "--set", "fencing.reboot_delay=500ms"),
)


def test_a_crunch_over_iscsi_ends_as_over_nbd(tmp_path: Path) -> None:
    """By ``compare``, which makes a run again that a busy machine has disturbed."""
    out = tmp_path / "out"
    command = run(
        "compare", "writeback-crunch", "--policies", "none,memalloc", *ISCSI, "--out", out
    )
    assert command.popen.returncode == 0, (command.errors, command.output)
    for policy in ("none", "memalloc"):
        directory = out / f"{policy}-1"
        result = Result.model_validate_json((directory / "result.json").read_bytes())
        history = History.read(directory / "history.jsonl")
        assert result.totals.writes_lost == 0
        assert result.totals.writes_acknowledged > 200
        transports = {event.transport for event in history.of(WriteAcknowledged)}
        assert transports == {"iscsi"}
        (read_back,) = history.of(VerifyResult)
        assert read_back.checked == read_back.ok
        (info,) = history.of(RunInfo)
        assert info.versions["tgt"] not in ("not found", "unknown")
        assert traces(info.run) == []
    none = Result.model_validate_json((out / "none-1" / "result.json").read_bytes())
    assert none.totals.false_ejections == 1
