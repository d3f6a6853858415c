"""Misses that faults brought about, each on a small recorded history."""

from __future__ import annotations

import pytest

from crunchbed.checks.causes import cause_of_each
from tests.unit.recording import ADDRESSES, MS, Recording

OTHERS = ("n2", "n3")


def causes(recording: Recording) -> list[str]:
    return [cause for _, cause in cause_of_each(recording.history(), 100 * MS)]


def beating(until: int, node: str = "n1") -> Recording:
    """Heartbeats of a node every 100 ms: number k at k x 100 ms."""
    recording = Recording()
    for seq in range(1, until + 1):
        recording.sent(seq * 100, node, seq)
    return recording


# --- link


@pytest.mark.parametrize("host", ["n1", "n2"])
def test_what_was_sent_while_a_port_was_down_is_the_links(host: str) -> None:
    recording = beating(30).fault(1050, 1350, "link-down", host)
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["link"]


@pytest.mark.parametrize("seq", [10, 14])
def test_before_and_after_the_port_was_down_it_is_not(seq: int) -> None:
    recording = beating(30).fault(1050, 1350, "link-down", "n1")
    assert causes(recording.miss(seq * 100 + 50, "n2", "n1", seq)) == ["unknown"]


def test_a_third_nodes_port_explains_nothing() -> None:
    recording = beating(30).fault(1050, 1350, "link-down", "n3")
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["unknown"]


def test_with_pressure_and_a_link_down_at_once_each_decides_for_its_own_time() -> None:
    recording = beating(30).fault(1050, 1250, "link-down", "n1").pressure(900, 1700, "n2")
    for seq in (10, 14):
        at = seq * 100 + 1
        recording.drop(at, "receive", "alloc_failed", sender="n1", observer="n2", seq=seq)
    for seq in (10, 11, 12, 14):
        recording.miss(seq * 100 + 50, "n2", "n1", seq)
    assert causes(recording) == ["allocation_failure", "link", "link", "allocation_failure"]


def test_a_number_that_was_never_sent_was_due_all_the_same() -> None:
    recording = beating(10).fault(1050, 1350, "link-down", "n1")
    recording.miss(1250, "n2", "n1", 12).miss(1850, "n2", "n1", 18)
    assert causes(recording) == ["link", "unknown"]


def test_the_heartbeats_of_another_boot_say_nothing_of_this_ones() -> None:
    recording = beating(30).fault(1050, 1350, "link-down", "n1")
    recording.add(4000, "node.down", target="n1").add(5000, "node.up", target="n1", incarnation=1)
    recording.sent(5100, "n1", 1).miss(6150, "n2", "n1", 11, incarnation=1)
    recording.add(5050, "membership.view", "n2", number=2, removed=[], added=["n1"])
    assert causes(recording) == ["unknown"]


# --- loss and partition


def test_a_packet_lost_on_the_wire_is_loss() -> None:
    recording = beating(30).fault(500, 2000, "loss", "n2", share=0.3)
    recording.drop(1101, "receive", "lost", sender="n1", observer="n2", seq=11)
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["loss"]


@pytest.mark.parametrize(
    ("targets", "cause"),
    [
        (("n1",), "partition"),
        (("n2", "n3"), "partition"),
        (("n3",), "loss"),
        (("n1", "n2"), "loss"),
    ],
)
def test_lost_between_the_sides_of_a_partition_is_the_partitions(
    targets: tuple[str, ...], cause: str
) -> None:
    recording = beating(30).fault(500, 2000, "partition", *targets)
    recording.drop(1101, "receive", "lost", sender="n1", observer="n2", seq=11)
    assert causes(recording.miss(1150, "n2", "n1", 11)) == [cause]


def test_after_the_partition_a_lost_packet_is_lost() -> None:
    recording = beating(30).fault(500, 1000, "partition", "n1")
    recording.drop(1101, "receive", "lost", sender="n1", observer="n2", seq=11)
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["loss"]


def test_what_a_fenced_node_did_not_send_into_a_partition_is_the_partitions() -> None:
    recording = beating(10).fault(500, 2000, "partition", "n1")
    recording.fence(1020, "n1", view=2, observers=OTHERS)
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["partition"]


# --- stalls


def test_a_number_due_while_its_sender_was_stopped_is_a_stall() -> None:
    recording = beating(10).fault(1050, 1450, "stall", "n1", daemons=["heartbeat"])
    recording.sent(1500, "n1", 15).miss(1150, "n2", "n1", 11)
    # On waking it is late by its own clock; that is the fault and not the testbed.
    recording.add(1451, "heartbeat.late", "n1", late_ns=350 * MS)
    assert causes(recording) == ["stalled_sender"]


def test_a_number_sent_late_because_its_sender_was_stopped_is_a_stall() -> None:
    recording = beating(10).fault(1050, 1180, "stall", "n1", daemons=["heartbeat"])
    recording.sent(1181, "n1", 11).miss(1150, "n2", "n1", 11)
    assert causes(recording) == ["stalled_sender"]


@pytest.mark.parametrize(
    ("target", "daemons"), [("n3", ["heartbeat"]), ("n1", ["initiator"]), ("n2", ["heartbeat"])]
)
def test_another_stall_explains_nothing(target: str, daemons: list[str]) -> None:
    recording = beating(10).fault(1050, 1450, "stall", target, daemons=daemons)
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["unknown"]


def test_lateness_of_a_daemon_that_nobody_stopped_is_the_testbed() -> None:
    recording = beating(10).fault(3000, 3100, "stall", "n1", daemons=["heartbeat"])
    recording.add(1140, "heartbeat.late", "n1", late_ns=80 * MS)
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["testbed"]


def test_that_a_stopped_daemon_wakes_late_is_the_fault_and_not_the_testbed() -> None:
    recording = beating(20).fault(1050, 1450, "stall", "n1", daemons=["heartbeat"])
    recording.add(1451, "heartbeat.late", "n1", late_ns=350 * MS)
    assert causes(recording.miss(1650, "n2", "n1", 16)) == ["unknown"]


# --- crashes


def test_a_crashed_peer_is_down() -> None:
    recording = beating(10).fault(1050, 3000, "node-crash", "n1")
    recording.add(1051, "node.down", target="n1", reason="crash")
    assert causes(recording.miss(1150, "n2", "n1", 11)) == ["fenced_peer"]


# --- probes, and misses without a tag


def lost_probe(recording: Recording, hook: str, node: str) -> Recording:
    """The probe of n2 to n1 is dropped; n2 misses the acknowledgement."""
    ends = {"src": ADDRESSES["n2"], "dst": ADDRESSES["n1"]}
    drop = {"hook": hook, "reason": "not_memalloc", "cls": "heartbeat", "tag": "c2aa"}
    recording.add(1101, "drop", node, **drop, **ends)
    miss = {"peer": "n1", "seq": 11, "deadline": 1150 * MS, "tag": "c3aa", "probe": "c2aa"}
    return recording.add(1150, "heartbeat.miss", "n2", **miss)


def test_the_observers_own_probe_may_be_what_was_dropped() -> None:
    assert causes(lost_probe(Recording(), "deliver", "n1")) == ["reserve_drop"]
    assert causes(lost_probe(Recording(), "transmit", "n2")) == ["stalled_sender"]
    assert causes(lost_probe(Recording(), "deliver", "n3")) == ["unknown"]


def unanswered(*, answered_ms: int | None = None) -> Recording:
    """n2 probes n1 at 1,000 ms and has no answer at 1,150 ms."""
    recording = Recording().sent(1000, "n1", 10).sent(1100, "n1", 11)
    recording.add(1000, "heartbeat.sent", "n2", seq=7, peers=["n1"], tag="c2aa", what="ping")
    if answered_ms is not None:
        answer = {"seq": 7, "peers": ["n2"], "tag": "c3aa", "what": "ack"}
        recording.add(answered_ms, "heartbeat.sent", "n1", **answer)
    miss = {"peer": "n1", "seq": 7, "deadline": 1150 * MS, "tag": "c3aa", "probe": "c2aa"}
    return recording.add(1150, "heartbeat.miss", "n2", **miss)


def test_an_answer_is_due_from_its_probe_to_its_deadline() -> None:
    assert causes(unanswered().fault(990, 1020, "link-down", "n1")) == ["link"]
    assert causes(unanswered().fault(900, 990, "link-down", "n1")) == ["unknown"]
    stall = ("stall", "n1")
    assert causes(unanswered().fault(1010, 1200, *stall, daemons=["heartbeat"])) == [
        "stalled_sender"
    ]
    late = unanswered(answered_ms=1201).fault(1010, 1200, *stall, daemons=["heartbeat"])
    assert causes(late) == ["stalled_sender"]
    of_another = unanswered().fault(1010, 1200, *stall, daemons=["heartbeat"])
    answer = {"seq": 7, "peers": ["n3"], "tag": "c3aa", "what": "ack"}
    of_another.add(1005, "heartbeat.sent", "n1", **answer)
    assert causes(of_another) == ["stalled_sender"], "n1 answered n3, which asked with that number"
    in_time = unanswered(answered_ms=1005).fault(1010, 1200, *stall, daemons=["heartbeat"])
    assert causes(in_time) == ["unknown"]


def untagged(peer: str | None, deadline: int = 1150) -> Recording:
    recording = Recording()
    miss = {"peer": peer, "deadline": deadline * MS, "tag": None}
    return recording.add(deadline, "heartbeat.miss", "n2", **miss)


@pytest.mark.parametrize("peer", ["n1", None])
def test_a_miss_without_a_tag_goes_by_the_drops_of_its_time(peer: str | None) -> None:
    recording = untagged(peer)
    recording.drop(1100, "deliver", "not_memalloc", sender="n1", observer="n2", seq=1)
    assert causes(recording) == ["reserve_drop"]


def test_a_silence_that_is_told_is_looked_at_as_a_whole() -> None:
    recording = Recording().drop(800, "receive", "lost", sender="n1", observer="n3", seq=1)
    miss = {"peer": None, "deadline": 1150 * MS, "tag": None, "silent_ns": 375 * MS}
    assert causes(recording.add(1150, "heartbeat.miss", "n2", **miss)) == ["loss"]
    assert causes(untagged(None).fault(700, 800, "link-down", "n3")) == ["unknown"]
    link = Recording().fault(700, 800, "link-down", "n3")
    assert causes(link.add(1150, "heartbeat.miss", "n2", **miss)) == ["link"]


def test_a_miss_without_a_tag_goes_by_no_others_drops() -> None:
    between_others = untagged("n1")
    between_others.drop(1100, "deliver", "not_memalloc", sender="n1", observer="n3", seq=1)
    assert causes(between_others) == ["unknown"]
    too_early = untagged("n1")
    too_early.drop(1040, "deliver", "not_memalloc", sender="n1", observer="n2", seq=1)
    assert causes(too_early) == ["unknown"]


def test_a_miss_without_a_tag_goes_by_the_faults_of_its_time() -> None:
    assert causes(untagged("n1").fault(1000, 1300, "link-down", "n1")) == ["link"]
    assert causes(untagged(None).fault(1000, 1300, "link-down", "n3")) == ["link"]
    stall = untagged("n1").fault(1000, 1300, "stall", "n1", daemons=["heartbeat"])
    assert causes(stall) == ["stalled_sender"]
    assert causes(untagged("n1").fault(1200, 1300, "link-down", "n1")) == ["unknown"]


@pytest.mark.parametrize(("share", "cause"), [(1.0, "loss"), (0.5, "unknown")])
def test_what_a_muted_node_sent_is_lost_though_nobody_saw_it(share: float, cause: str) -> None:
    recording = beating(30).fault(1050, 1350, "loss", "n1", share=share, direction="out")
    assert causes(recording.miss(1150, "n2", "n1", 11)) == [cause]
    heard = beating(30, "n2").fault(1050, 1350, "loss", "n1", share=share, direction="out")
    assert causes(heard.miss(1150, "n1", "n2", 11)) == ["unknown"], "n1 hears the others"


# --- a neighbour that is asked for


def asking(ms: float, reason: str, sender: str, receiver: str) -> Recording:
    """Heartbeats, of which n2 misses number 12 of n1, and a question or answer of ARP dropped."""
    src, dst = ADDRESSES[sender], ADDRESSES[receiver]
    dropped = {"hook": "receive", "reason": reason, "cls": "control", "src": src, "dst": dst}
    recording = beating(30).add(ms, "drop", receiver, **dropped, tag="", pages=0)
    return recording.miss(1250, "n2", "n1", 12)


@pytest.mark.parametrize(("sender", "receiver"), [("n2", "n1"), ("n1", "n2")])
@pytest.mark.parametrize("ms", [500, 1200.1])
def test_a_heartbeat_waits_for_an_address_whose_answer_is_lost(
    ms: float, sender: str, receiver: str
) -> None:
    assert causes(asking(ms, "lost", sender, receiver)) == ["loss"]
    assert causes(asking(ms, "alloc_failed", sender, receiver)) == ["allocation_failure"]


def test_the_hooks_say_no_address_of_arp_so_that_it_is_the_senders_drop() -> None:
    nobody = dict.fromkeys(("src", "dst"), "0.0.0.0")  # noqa: S104 - not to listen on
    dropped = {"hook": "transmit", "reason": "alloc_failed", "cls": "control", **nobody}
    for node, cause in (("n1", "stalled_sender"), ("n2", "unknown"), ("n3", "unknown")):
        recording = beating(30).add(900, "drop", node, **dropped, tag="", pages=1)
        assert causes(recording.miss(1250, "n2", "n1", 12)) == [cause]


def test_a_late_testbed_is_told_before() -> None:
    recording = asking(500, "lost", "n2", "n1").add(1240, "heartbeat.late", "n1", late_ns=80 * MS)
    assert causes(recording) == ["testbed"]


def test_an_answer_of_another_node_or_of_long_ago_explains_nothing() -> None:
    assert causes(asking(500, "lost", "n3", "n1")) == ["unknown"]
    assert causes(asking(100, "lost", "n2", "n1")) == ["unknown"]
    assert causes(asking(1260, "lost", "n2", "n1")) == ["unknown"]
