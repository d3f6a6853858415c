"""One of two switches fails under load, and the only one there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from crunchbed.history.history import History
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.contract.events.heartbeats import RingDown, RingUp
from tests.system.test_faults import attempt, check

pytestmark = pytest.mark.root
CRASH = "{kind: switch-crash, target: s1, after: 500ms, for: 2s}"


def rings(history: History, kind: type[RingDown | RingUp]) -> set[tuple[int, str, str]]:
    """(ring, observer, peer) of the events."""
    return {(e.ring, e.node, e.peer) for e in history.of(kind)}


@pytest.mark.parametrize("membership", ["crunchbed", "corosync"])
def test_one_of_two_switches_fails_and_nobody_is_ejected(membership: str, tmp_path: Path) -> None:
    # knet sends by one link until it takes that for dead: a token may be overdue meanwhile.
    changes = ["--set", f"membership={membership}"]
    if membership == "corosync":
        changes += ["--set", "expect=[nodes_ejected == 0]", "--set", "phases.control=5s"]
        changes += ["--set", "corosync.token=2s"]  # at 0.5 s a pause of the machine may cost it
    result, history = check(*attempt(tmp_path, "redundant-switch", *changes))
    totals = result.totals
    assert totals.nodes_ejected == 0
    assert (totals.writes_lost, totals.io_errors) == (0, 0)
    assert totals.path_restore_seconds is not None
    assert totals.path_restore_seconds < 3
    assert totals.rings_restore_seconds is not None
    assert totals.rings_restore_seconds < 5
    lost = rings(history, RingDown)
    assert {ring for ring, _, _ in lost} == {0}
    assert len(lost) == 6, "every node lost both of its peers on the ring of that switch"
    assert lost <= rings(history, RingUp)
    (begin,) = history.of(FaultBegan)
    assert begin.cut == []


def test_the_only_switch_fails_and_all_is_the_links(tmp_path: Path) -> None:
    """Nobody has a majority while it is gone; who is heard last afterwards may be ejected."""
    changes = ("--set", f"faults=[{CRASH}]", "--set", "phases.inject=6s")
    result, history = check(*attempt(tmp_path, "control", *changes, "--set", "expect=[]"))
    totals = result.totals
    assert totals.heartbeats_missed >= 60
    assert totals.misses_by_cause["link"] >= 0.9 * totals.heartbeats_missed
    assert totals.writes_lost == 0
    assert totals.path_restore_seconds is not None
    assert 2 < totals.path_restore_seconds < 6
    (begin,) = history.of(FaultBegan)
    assert sorted(begin.cut) == ["n1", "n2", "n3", "storage"]
