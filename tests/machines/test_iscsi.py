"""Whole runs whose disk is an iSCSI one, over the kernel's initiator."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from crunchbed.checks.result import Result
from crunchbed.history.history import History
from reserve_agent.contract.events.guests import GuestCounted
from reserve_agent.contract.events.writes import WriteAcknowledged
from tests.system.command import Command

pytestmark = pytest.mark.root

ISCSI = (
    *("--backend", "machines", "--set", "cluster.nodes=2", "--set", "cluster.switch=linux-bridge"),
    *("--set", "block_io.transport=iscsi", "--set", "phases.control=2s", "--set", "traffic.rate=0"),
)
CRASH = (
    *("--set", "faults=[{kind: target-crash, after: 1s, for: 1s}]"),
    *("--set", "phases.inject=8s"),
)
FLAGGED = {"none": 0, "memalloc": 3}
"""Sockets as the kernel counts them: heartbeats, the session, and the lost one, which stays."""


@pytest.mark.parametrize("policy", ["none", "memalloc"])
def test_a_session_that_is_lost_is_made_again_and_its_socket_follows_the_policy(
    tmp_path: Path, policy: str
) -> None:
    out = tmp_path / "out"
    command = Command("run", "control", *ISCSI, *CRASH, "--policy", policy, "--out", out)
    command.end(120)
    assert (out / "result.json").exists(), (command.popen.returncode, command.errors)
    result = Result.read(out / "result.json")
    assert result.verdict in ("pass", "fail"), result.reasons
    assert (result.totals.writes_lost, result.totals.io_errors) == (0, 0)
    history = History.read(out / "history.jsonl")
    for node in ("n1", "n2"):
        written = history.of(WriteAcknowledged, node)
        assert {event.transport for event in written} == {"iscsi"}
        stall = max(late.t - early.t for early, late in itertools.pairwise(written))
        assert stall > 1_000_000_000  # the crash
        assert written[-1].t > history.of(GuestCounted, node)[-1].t - 1_000_000_000
        assert history.of(GuestCounted, node)[-1].memalloc_sockets == FLAGGED[policy]
