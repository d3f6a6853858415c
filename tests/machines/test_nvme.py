"""Whole runs whose disk is reached by NVMe/TCP: a guest on the storage host serves it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from reserve_agent.contract.events.guests import GuestCounted, GuestWindow
from reserve_agent.contract.events.writes import WriteAcknowledged
from tests.machines.clusters import FAST, await_phase, fast, id_of, is_invalid, pid_of
from tests.system.command import Command

pytestmark = pytest.mark.root

NVME = "block_io.transport=nvme-tcp"
FLAGGED = {"none": 0, "memalloc": 3}
"""Sockets as the kernel counts them: heartbeats, and the queues of commands and of writes."""
PAGES = 250
MISSES = 5
"""More of one node than a busy machine causes."""
CRUNCH = (
    *("--set", NVME, "--set", "phases.control=1s", "--set", f"crunch.pages={PAGES}"),
    *("--set", "phases.inject=6s", "--set", "phases.recovery=1s", "--set", "expect=[]"),
)


@pytest.mark.parametrize("policy", [pytest.param("none", marks=pytest.mark.slow), "memalloc"])
def test_flags_decide_whether_a_crunch_ends_and_no_acknowledged_write_is_lost(
    tmp_path: Path, policy: str
) -> None:
    out = tmp_path / "out"
    command = Command("run", "kernel-writeback", *FAST, *CRUNCH, "--policy", policy, "--out", out)
    command.end(120)
    assert (out / "result.json").exists(), (command.popen.returncode, command.errors)
    result, history = Result.read(out / "result.json"), History.read(out / "history.jsonl")
    assert (result.totals.writes_lost, result.totals.io_errors) == (0, 0)
    for node in ("n1", "n2"):
        written = history.of(WriteAcknowledged, node)
        assert len(written) > 20
        assert {event.transport for event in written} == {"nvme-tcp"}
        assert history.of(GuestCounted, node)[-1].memalloc_sockets == FLAGGED[policy]
    (window,) = history.of(GuestWindow, "n1")
    ended = policy == "memalloc"
    assert (window.refilled_pages >= PAGES) == ended
    assert (result.totals.heartbeats_missed > MISSES) != ended
    assert "crunchbed: serving" in (out / "logs" / "storage-target.log").read_text()


@pytest.mark.slow
def test_a_storage_guest_that_somebody_kills_ends_the_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = fast(out, NVME, inject="20s")
    run_id = id_of(command)
    await_phase(command, "inject")
    os.kill(pid_of(command, "storage target"), signal.SIGKILL)
    is_invalid(command, run_id, out, "storage target ended by itself (-9)")
