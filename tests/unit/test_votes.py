"""Fences need a majority, removals and takeovers need a fence, and ejections a cause."""

from __future__ import annotations

import pytest

from crunchbed.checks.explained import unexplained
from crunchbed.checks.invariants import RULES, broken
from crunchbed.checks.judge import judge
from crunchbed.checks.votes import minority_fences, unfenced
from tests.unit.judged_runs import ejecting_run, good_run, scenario
from tests.unit.recording import Recording

NODES = ("n1", "n2", "n3")


def asked(*suspicious: str, cleared: str = "", since: float = 1000) -> Recording:
    """n2 asks for the fence of n1 at 1.6 s, and these nodes suspect n1 from 1.5 s on."""
    recording = Recording().complete()
    for node in NODES:
        recording.add(since, "membership.view", node, number=1, members=NODES, added=NODES)
    for node in suspicious:
        recording.add(1500, "membership.suspect", node, peer="n1", misses=5)
    if cleared:
        recording.add(1550, "membership.clear", cleared, peer="n1")
    return recording.add(1600, "membership.fence_request", "n2", target="n1", view=1)


def test_a_fence_that_a_majority_wants_is_right() -> None:
    assert minority_fences(asked("n2", "n3").history()) == []


def test_what_a_node_said_in_this_view_may_be_on_its_way() -> None:
    assert minority_fences(asked("n2", "n3", cleared="n3").history()) == []


def test_a_suspicion_from_before_the_view_goes_on_unless_it_was_cleared() -> None:
    assert minority_fences(asked("n2", "n3", since=1590).history()) == []
    (line,) = minority_fences(asked("n2", "n3", cleared="n3", since=1590).history())
    assert line == "minority: n2 had n1 fenced for view 1 with 1 of 3 votes (at 1.600 s)"


def test_a_fence_that_a_single_node_wants_is_told() -> None:
    recording = asked("n2")
    (line,) = minority_fences(recording.history())
    assert line == "minority: n2 had n1 fenced for view 1 with 1 of 3 votes (at 1.600 s)"


def test_a_vote_of_a_node_that_never_held_the_view_does_not_count() -> None:
    recording = Recording().complete()
    recording.add(1000, "membership.view", "n2", number=1, members=NODES, added=NODES)
    for node in ("n2", "n3"):
        recording.add(1500, "membership.suspect", node, peer="n1", misses=5)
    recording.add(1600, "membership.fence_request", "n2", target="n1", view=1)
    assert len(minority_fences(recording.history())) == 1


def test_a_member_that_is_removed_after_its_fence_is_right() -> None:
    recording = Recording().complete().fence(1800, "n1", view=2, observers=("n2", "n3"))
    assert unfenced(recording.history()) == []


def test_a_member_that_is_removed_without_a_fence_is_told_once() -> None:
    recording = Recording().complete()
    for node in ("n2", "n3"):
        recording.add(1800, "membership.view", node, number=2, members=NODES[1:], removed=["n1"])
    (line,) = unfenced(recording.history())
    assert line == "unfenced: view 2 of n2 lacks n1, whose fence was not confirmed (at 1.800 s)"


def test_an_earlier_fence_is_not_that_of_a_node_that_came_back() -> None:
    recording = Recording().complete().fence(1800, "n1", view=2, observers=("n2", "n3"))
    recording.rejoin(2500, "n1", view=3, observers=("n2", "n3"))
    recording.add(4000, "membership.view", "n2", number=4, members=NODES[1:], removed=["n1"])
    assert len(unfenced(recording.history())) == 1
    recording.add(3990, "fence.confirmed", target="n1", by="n2")
    assert unfenced(recording.history()) == []


def test_a_node_that_boots_again_admits_nobody_but_itself() -> None:
    """It has all members as new, also one that is fenced by then and about to be removed."""
    recording = Recording().complete()
    recording.add(500, "membership.view", "n2", number=1, members=NODES, added=NODES)
    recording.add(1800, "fence.confirmed", target="n1", by="n2")
    recording.add(1850, "membership.view", "n2", number=2, members=NODES, added=["n3"])
    recording.add(1860, "membership.view", "n3", number=2, members=NODES, added=NODES)
    recording.add(1900, "membership.view", "n2", number=3, members=NODES[1:], removed=["n1"])
    assert unfenced(recording.history()) == []


def test_a_takeover_needs_a_fence_or_a_node_that_is_down() -> None:
    recording = Recording().complete()
    recording.add(500, "service.start", "n4", target="n4")
    recording.add(2000, "service.start", "n5", target="n5", taken_from="n4")
    (line,) = unfenced(recording.history())
    assert line == (
        "unfenced: n5 took the service over from n4, whose fence was not confirmed (at 2.000 s)"
    )
    recording.add(1900, "node.down", target="n4", reason="crash")
    assert unfenced(recording.history()) == []


def test_the_judge_fails_a_run_in_which_a_minority_decided() -> None:
    recording = good_run()
    for node in NODES:
        recording.add(1000, "membership.view", node, number=1, members=NODES, added=NODES)
    recording.add(1600, "membership.fence_request", "n2", target="n1", view=1)
    result = judge(recording.history(), scenario())
    assert result.verdict == "fail"
    assert "minority: n2 had n1 fenced for view 1 with 0 of 3 votes" in result.reasons[0]
    recording.add(1700, "events.lost", "n3", count=4)
    assert "minority" not in " ".join(judge(recording.history(), scenario()).reasons)


def test_an_ejection_with_a_miss_of_known_cause_is_explained() -> None:
    assert unexplained(ejecting_run().history(), scenario()) == []


def test_an_ejection_without_one_is_not() -> None:
    recording = good_run().fence(1800, "n1", view=2, observers=("n2", "n3"))
    (line,) = unexplained(recording.history(), scenario())
    assert line == "unexplained: n1 was ejected for no known cause (at 1.800 s)"
    recording.miss(1350, "n2", "n1", 14)  # nothing was dropped, and no fault was on
    assert len(unexplained(recording.history(), scenario())) == 1


@pytest.mark.parametrize(("down", "lines"), [(1100, 0), (900, 1), (1700, 1)])
def test_a_standby_has_the_life_before_ended(down: float, lines: int) -> None:
    """n1 of a pair was down after the view of both and before its standby asked, or not then."""
    recording = good_run().add(1000, "membership.view", "n2", number=3, members=NODES)
    recording.add(down, "node.down", target="n1", reason="crash")
    recording.add(down + 50, "node.up", target="n1", incarnation=1)
    for ms in (1500, 1750):
        recording.add(ms, "service.confirm", "n2", target="n1", view=3)
    history = recording.fence(1800, "n1", view=4, observers=("n2", "n3")).history()
    assert len(unexplained(history, scenario())) == lines


def test_packets_that_come_late_by_a_fault_explain_it() -> None:
    for targets, explained in ((["n1"], True), (["n2"], True), (["n3"], False)):
        recording = good_run().fence(1800, "n1", view=2, observers=("n2", "n3"))
        recording.add(1700, "membership.suspect", "n2", peer="n1", misses=5)
        recording.fault(1100, 1500, "delay", *targets, delay_ns=900_000_000)
        assert (unexplained(recording.history(), scenario()) == []) == explained


def test_a_miss_of_long_before_explains_nothing() -> None:
    recording = good_run()
    recording.drop(1300, "transmit", "tx_stalled", sender="n1", observer="n2", seq=14)
    recording.miss(1350, "n2", "n1", 14)
    recording.add(8000, "membership.suspect", "n2", peer="n1", misses=5)
    recording.fence(8100, "n1", view=2, observers=("n2", "n3"))
    assert len(unexplained(recording.history(), scenario())) == 1


def test_every_rule_is_asked() -> None:
    recording = asked("n2")
    recording.add(1700, "verify.result", "storage", checked=9, ok=8, lost=1, corrupt=0)
    recording.add(1800, "membership.view", "n2", number=2, members=NODES[1:], removed=["n1"])
    rules = {one.rule for one in broken(recording.history(), scenario())}
    assert {"lost-write", "minority", "unfenced", "unexplained"} <= rules <= set(RULES)
