"""Heartbeats: counted, and each miss with its cause."""

from __future__ import annotations

import pytest

from crunchbed.checks import heartbeats
from crunchbed.checks.causes import cause_of_each
from nodes.membership.datagram import tag_of
from tests.unit.recording import MS, Recording

OTHERS = ("n2", "n3")


def causes(recording: Recording) -> list[str]:
    return [cause for _, cause in cause_of_each(recording.history(), 100 * MS)]


def test_heartbeats_are_counted_by_sender_and_observer() -> None:
    recording = Recording().add(1, "heartbeat.sent", "n1", seq=1, peers=2)
    recording.add(2, "heartbeat.sent", "n1", seq=2, peers=["n2", "n3"])
    history = recording.miss(300, "n2", "n1", 3).history()
    assert heartbeats.sent(history, "n1") == 4
    assert heartbeats.missed(history, "n2") == 1
    assert heartbeats.missed(history, "n1") == 0


def test_misses_count_until_the_run_ends_its_daemons() -> None:
    recording = Recording().phases(start=0, collect=1000)
    history = recording.miss(999, "n2", "n1", 3).miss(1001, "n2", "n1", 4).history()
    assert heartbeats.missed(history, "n2") == 1
    assert len(cause_of_each(history, 100 * MS)) == 1


@pytest.mark.parametrize(
    ("hook", "reason", "cause"),
    [
        ("transmit", "tx_stalled", "stalled_sender"),
        ("transmit", "reserve_exhausted", "stalled_sender"),
        ("receive", "alloc_failed", "allocation_failure"),
        ("receive", "reserve_exhausted", "allocation_failure"),
        ("deliver", "not_memalloc", "reserve_drop"),
        ("receive", "softnet_throttled", "reserve_drop"),
    ],
)
def test_a_miss_has_the_cause_of_its_dropped_packet(hook: str, reason: str, cause: str) -> None:
    recording = Recording().drop(1000, hook, reason, sender="n1", observer="n2", seq=7)
    assert causes(recording.miss(1050, "n2", "n1", 7)) == [cause]


@pytest.mark.parametrize(
    ("observer", "peer", "seq"), [("n3", "n1", 7), ("n2", "n3", 7), ("n2", "n1", 8)]
)
def test_another_packets_drop_explains_nothing(observer: str, peer: str, seq: int) -> None:
    for hook in ("transmit", "receive"):
        recording = Recording().drop(1000, hook, "alloc_failed", sender="n1", observer="n2", seq=7)
        assert causes(recording.miss(1050, observer, peer, seq)) == ["unknown"]


def test_an_earlier_boots_drop_explains_nothing() -> None:
    recording = Recording().drop(900, "receive", "alloc_failed", sender="n1", observer="n2", seq=7)
    assert causes(recording.miss(1050, "n2", "n1", 7, incarnation=1)) == ["unknown"]


def test_a_miss_that_can_name_no_heartbeat_is_unknown() -> None:
    recording = Recording().drop(900, "receive", "alloc_failed", sender="n1", observer="n2", seq=7)
    recording.add(1050, "heartbeat.miss", "n2", peer="n1", seq=0, deadline=1050 * MS, tag=None)
    assert causes(recording) == ["unknown"]


def test_other_traffics_drops_are_not_taken_for_heartbeats() -> None:
    recording = Recording().miss(1050, "n2", "n1", 7)
    recording.add(
        1000,
        "drop",
        "n2",
        hook="receive",
        reason="alloc_failed",
        cls="block-io",
        tag=tag_of(0, 0, 7),
    )
    assert causes(recording) == ["unknown"]


@pytest.mark.parametrize(
    ("deadline", "cause"),
    [(990, "unknown"), (1001, "fenced_peer"), (3050, "fenced_peer"), (3150, "unknown")],
)
def test_a_peer_is_fenced_until_the_view_that_holds_it_again(deadline: float, cause: str) -> None:
    recording = Recording().fence(1000, "n1", view=2, observers=OTHERS)
    recording.rejoin(3000, "n1", view=3, observers=OTHERS)
    assert causes(recording.miss(deadline, "n2", "n1", 7)) == [cause]


def test_each_observers_own_view_ends_the_absence() -> None:
    recording = Recording().fence(1000, "n1", view=2, observers=OTHERS)
    recording.rejoin(3000, "n1", view=3, observers=("n2",))
    recording.add(3500, "membership.view", "n3", number=3, removed=[], added=["n1"])
    recording.miss(3300, "n3", "n1", 7).miss(3300, "n2", "n1", 7)
    assert causes(recording) == ["fenced_peer", "unknown"]


def test_a_peer_that_never_came_back_stays_fenced() -> None:
    recording = Recording().fence(1000, "n1", view=2, observers=OTHERS)
    assert causes(recording.miss(9000, "n2", "n1", 7)) == ["fenced_peer"]


@pytest.mark.parametrize("late", ["n1", "n2"])
def test_a_daemon_late_by_its_own_clock_is_the_testbed(late: str) -> None:
    recording = Recording().add(1040, "heartbeat.late", late, late_ns=80 * MS)
    assert causes(recording.miss(1050, "n2", "n1", 7)) == ["testbed"]
    assert causes(Recording().miss(1050, "n3", "n2", 7)) == ["unknown"]


def test_a_simulated_run_has_no_testbed_that_could_be_late() -> None:
    recording = Recording().add(0, "run.info", "run", backend="simulation", format=3)
    recording.add(1040, "heartbeat.late", "n1", late_ns=80 * MS)
    assert causes(recording.miss(1050, "n2", "n1", 7)) == ["unknown"]


def test_lateness_long_before_or_of_a_third_node_explains_nothing() -> None:
    recording = Recording().add(500, "heartbeat.late", "n1", late_ns=80 * MS)
    recording.add(1040, "heartbeat.late", "n3", late_ns=80 * MS)
    assert causes(recording.miss(1050, "n2", "n1", 7)) == ["unknown"]


def test_the_packet_outweighs_every_other_evidence() -> None:
    recording = Recording().drop(1001, "transmit", "tx_stalled", sender="n1", observer="n2", seq=7)
    recording.fence(1000, "n1", view=2, observers=OTHERS)
    recording.add(1040, "heartbeat.late", "n2", late_ns=80 * MS)
    assert causes(recording.miss(1050, "n2", "n1", 7)) == ["stalled_sender"]
