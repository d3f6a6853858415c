"""Ground truth: which ejections were right, how fast they were, and who came back."""

from __future__ import annotations

import pytest

from crunchbed.checks import recovery
from crunchbed.checks.membership import detection_delays, ejections
from crunchbed.checks.standstill import standstills
from crunchbed.checks.validity import disturbed
from tests.unit.judged_runs import good_run, result_of, scenario
from tests.unit.recording import MS, Recording

NODES = ("n1", "n2", "n3")
OTHERS = ("n2", "n3")


def fenced(recording: Recording) -> list[tuple[bool, list[int]]]:
    found = ejections(recording.history())
    return [(one.false, detection_delays([one])) for one in found]


def test_a_node_that_was_up_and_in_reach_is_ejected_falsely() -> None:
    assert fenced(Recording().fence(2000, "n1", view=2, observers=OTHERS)) == [(True, [])]


@pytest.mark.parametrize(
    ("kind", "targets", "more"),
    [
        ("link-down", ("n1",), {}),
        ("partition", ("n1",), {}),
        ("partition", ("n2", "n3"), {}),
        ("stall", ("n1",), {"daemons": ["heartbeat"]}),
    ],
)
def test_a_node_that_a_fault_cut_off_is_ejected_rightly(
    kind: str, targets: tuple[str, ...], more: dict[str, list[str]]
) -> None:
    recording = Recording().fault(1500, 4000, kind, *targets, **more)
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    assert fenced(recording) == [(False, [500 * MS])]


@pytest.mark.parametrize(
    ("kind", "targets", "more"),
    [
        ("link-down", ("n3",), {}),
        ("partition", ("n3",), {}),
        ("partition", ("n1", "n2"), {}),
        ("stall", ("n1",), {"daemons": ["initiator"]}),
        ("loss", ("n1",), {"share": 0.3}),
        ("link-down", ("n1",), {"impossible": "n1 was down"}),
    ],
)
def test_a_fault_that_did_not_keep_it_from_its_fencer_excuses_nothing(
    kind: str, targets: tuple[str, ...], more: dict[str, object]
) -> None:
    recording = Recording().fault(1500, 4000, kind, *targets, **more)
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    assert fenced(recording) == [(True, [])]


def test_a_fault_that_is_over_when_the_fence_begins_excuses_nothing() -> None:
    recording = Recording().fault(1000, 1900, "link-down", "n1")
    assert fenced(recording.fence(2000, "n1", view=2, observers=OTHERS)) == [(True, [])]


def test_a_crashed_node_is_ejected_rightly_and_its_detection_counts_from_the_crash() -> None:
    recording = Recording().fault(1300, 4000, "node-crash", "n1")
    recording.add(1301, "node.down", target="n1", reason="crash")
    recording.add(2000, "fence.start", target="n1", by="n2")
    recording.add(2001, "fence.confirmed", target="n1", by="n2")
    assert fenced(recording) == [(False, [699 * MS])]


def test_with_two_faults_the_earlier_one_began_it() -> None:
    recording = Recording().fault(1500, 4000, "link-down", "n1")
    recording.fault(1200, 4000, "partition", "n1")
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    assert fenced(recording) == [(False, [800 * MS])]


def lost(recording: Recording, begin_ms: float, end_ms: float, network: str) -> Recording:
    return recording.fault(begin_ms, end_ms, "link-down", "n1", network=network)


def test_a_node_whose_two_links_are_down_is_cut_off_since_both_are() -> None:
    recording = lost(lost(Recording(), 1200, 4000, "a"), 1600, 4000, "b")
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    assert fenced(recording) == [(False, [400 * MS])]


@pytest.mark.parametrize(("begin", "end"), [(1000, 1400), (2100, 4000)])
def test_links_that_were_not_down_together_excuse_nothing(begin: int, end: int) -> None:
    recording = lost(lost(Recording(), 1500, 4000, "a"), begin, end, "b")
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    assert fenced(recording) == [(True, [])]


def test_a_switch_and_a_link_cut_off_who_has_no_third_way() -> None:
    gone = {"cut": [], "lost": {"n1": ["a"], "n2": ["a"]}}
    recording = Recording().fault(1500, 4000, "switch-crash", "s1", **gone)
    lost(recording, 1700, 4000, "b").fence(2000, "n1", view=2, observers=OTHERS)
    assert fenced(recording) == [(False, [300 * MS])]
    other = Recording().fault(1500, 4000, "switch-crash", "s1", **gone)
    lost(other, 1700, 4000, "b").fence(2000, "n2", view=2, observers=("n1", "n3"))
    assert fenced(other) == [(True, [])]


# --- coming back


def away(recording: Recording, node: str = "n1") -> list[tuple[int, int | None]]:
    history = recording.phases(control=100, inject=1000, recovery=4000, collect=10_000).history()
    found = recovery.absences(history, node, NODES)
    return [(one.since // MS, one.back and one.back // MS) for one in found]


def test_an_absence_lasts_from_the_fault_until_a_majority_holds_the_node_again() -> None:
    recording = Recording().fault(1500, 4000, "link-down", "n1")
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    recording.add(5000, "node.up", target="n1")
    recording.add(5100, "membership.view", "n2", number=3, removed=[], added=["n1"])
    recording.add(5200, "membership.view", "n3", number=3, removed=[], added=["n1"])
    assert away(recording) == [(1500, 5200)]
    assert away(recording, "n2") == []


def test_an_ejection_without_a_fault_begins_with_its_fence() -> None:
    recording = Recording().fence(2000, "n1", view=2, observers=OTHERS)
    assert away(recording.rejoin(3000, "n1", view=3, observers=OTHERS)) == [(2000, 3100)]


def test_a_node_that_never_comes_back_is_away_to_the_end_of_the_recovery() -> None:
    recording = Recording().fence(2000, "n1", view=2, observers=OTHERS)
    assert away(recording) == [(2000, None)]
    found = recovery.absences(recording.history(), "n1", NODES)
    assert recovery.flaps(found) == 0
    assert recovery.time_to_recover_seconds(recording.history(), found) == 8.0


def test_a_crash_that_boots_before_anybody_notices_is_an_absence_too() -> None:
    recording = Recording().add(2000, "node.down", target="n1", reason="crash")
    recording.add(2200, "node.up", target="n1")
    for node in NODES:
        views = {"number": 2, "removed": ["n1"], "added": ["n1"]}
        recording.add(2400, "membership.view", node, **views)
    assert away(recording) == [(2000, 2400)]
    assert ejections(recording.history()) == []


def test_every_leaving_and_coming_back_is_a_flap() -> None:
    recording = Recording().fence(2000, "n1", view=2, observers=OTHERS)
    recording.rejoin(3000, "n1", view=3, observers=OTHERS)
    recording.fence(4000, "n1", view=4, observers=OTHERS)
    recording.rejoin(5000, "n1", view=5, observers=OTHERS)
    assert away(recording) == [(2000, 3100), (4000, 5100)]


def test_the_figures_of_a_run_have_it_all() -> None:
    recording = good_run().fault(1500, 3500, "link-down", "n1")
    recording.fence(1900, "n1", view=2, observers=OTHERS)
    recording.rejoin(3600, "n1", view=3, observers=OTHERS)
    totals = result_of(recording).totals
    assert (totals.true_ejections, totals.false_ejections, totals.flaps) == (1, 0, 1)
    assert totals.detection_delay_seconds == pytest.approx(0.4)
    assert totals.time_to_recover_seconds == pytest.approx(2.2)
    assert result_of(good_run()).totals.time_to_recover_seconds is None


# --- faults and validity


def test_a_fault_that_met_nothing_makes_a_run_invalid() -> None:
    recording = good_run().fault(1500, 2500, "node-crash", "n1", impossible="n1 was down")
    faulty = scenario().with_overrides({"faults": [{"kind": "node-crash"}]})
    assert disturbed(recording.history(), faulty) == [
        "fault off target: node-crash of n1: n1 was down"
    ]
    assert disturbed(good_run().history(), faulty) == ["0 of 1 faults were begun"]


def test_a_target_that_a_fault_took_away_is_no_standstill_of_the_testbed() -> None:
    recording = Recording().phases(control=0, collect=10_000)
    for at in range(1, 1000, 4):
        if not 500 <= at < 900:
            recording.ack(at, "n1", at - 1)
    (gap,) = standstills(recording.history())
    assert gap.length > 350 * MS
    for kind, targets in (("link-down", "storage"), ("target-crash", "storage")):
        explained = Recording()
        explained.events = list(recording.events)
        assert standstills(explained.fault(510, 700, kind, targets).history()) == []
    other = Recording()
    other.events = list(recording.events)
    assert standstills(other.fault(510, 700, "link-down", "n2").history()) == [gap]
