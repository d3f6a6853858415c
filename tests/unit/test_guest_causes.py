"""Causes of misses from what the kernels of machines counted."""

from __future__ import annotations

import pytest

from crunchbed.checks.causes import cause_of_each
from nodes.membership.datagram import Kind, tag_of
from tests.unit.recording import MS, Recording

KINDS = ("atomic", "fragment", "nowait", "memalloc", "blocking")


def counted(recording: Recording, ms: float, node: str, **counts: int) -> None:
    """What a kernel has counted since its boot; all other counts are 0."""
    names = ("oom_calls", "direct_reclaims", "swapped_out_pages", "swapped_in_pages")
    names += ("pfmemalloc_drops", "rx_packets", "rx_dropped", "rx_missed", "rx_fifo_errors")
    names += ("tx_packets", "memalloc_sockets", "late_ns")
    failed = {kind: counts.get(kind, 0) for kind in KINDS}
    others = {name: counts.get(name, 0) for name in names}
    recording.add(ms, "guest.counters", node, failed=failed, **others)


def crunched(node: str = "n2") -> Recording:
    """n2 is under pressure from 1000 to 3000 ms, and n1 sends number 7 at 1500 ms."""
    recording = Recording().complete().pressure(1000, 3000, node)
    counted(recording, 900, node)
    return recording.add(1400, "heartbeat.sent", "n1", seq=6, peers=["n2"])


def causes(recording: Recording) -> list[str]:
    return [cause for _, cause in cause_of_each(recording.history(), 100 * MS)]


def sent(recording: Recording) -> Recording:
    return recording.add(1500, "heartbeat.sent", "n1", seq=7, peers=["n2"])


@pytest.mark.parametrize(
    ("counts", "cause"),
    [
        ({"pfmemalloc_drops": 1}, "reserve_drop"),
        ({"pfmemalloc_drops": 1, "atomic": 9}, "reserve_drop"),
        ({"atomic": 1}, "allocation_failure"),
        ({"memalloc": 1}, "allocation_failure"),
        ({"rx_missed": 1}, "allocation_failure"),
        ({"rx_packets": 9, "swapped_out_pages": 9}, "unknown"),
    ],
)
def test_a_count_that_rises_in_pressure_is_the_cause(counts: dict[str, int], cause: str) -> None:
    recording = sent(crunched())
    counted(recording, 1530, "n2", **counts)
    assert causes(recording.miss(1650, "n2", "n1", 7)) == [cause]


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ([(1150, 5), (1250, 6), (1350, 7)], "allocation_failure"),
        ([(1150, 5), (1350, 7)], "unknown"),
        ([(1250, 6), (1350, 7)], "unknown"),
    ],
    ids=["unbroken", "heard again between", "heard again after"],
)
def test_a_ring_that_is_still_empty_after_the_pressure_is_the_cause(
    rows: list[tuple[int, int]], cause: str
) -> None:
    recording = Recording().complete().pressure(1000, 1200, "n2")
    counted(recording, 900, "n2")
    counted(recording, 1050, "n2", atomic=9)
    for deadline, number in rows:
        recording.add(deadline - 150, "heartbeat.sent", "n1", seq=number, peers=["n2"])
        recording.miss(deadline, "n2", "n1", number)
    assert causes(recording)[-1] == cause


def test_without_pressure_or_on_another_node_a_count_explains_nothing() -> None:
    recording = sent(crunched("n3"))
    counted(recording, 910, "n2")
    counted(recording, 1530, "n2", atomic=1)
    counted(recording, 1530, "n3", pfmemalloc_drops=4)
    assert causes(recording.miss(1650, "n2", "n1", 7)) == ["unknown"]


def test_a_card_that_ran_dry_before_counts_nothing_more() -> None:
    recording = sent(crunched())
    counted(recording, 1050, "n2", atomic=1)
    counted(recording, 2050, "n2", atomic=1)
    assert causes(recording.miss(1650, "n2", "n1", 7)) == ["allocation_failure"]


def test_a_drop_long_before_the_miss_is_another_packets() -> None:
    recording = sent(crunched())
    counted(recording, 1050, "n2", pfmemalloc_drops=1)
    counted(recording, 2050, "n2", pfmemalloc_drops=1)
    assert causes(recording.miss(1650, "n2", "n1", 7)) == ["unknown"]


def test_a_machine_under_pressure_that_did_not_send_was_held_up() -> None:
    recording = crunched("n1")
    counted(recording, 1530, "n1", atomic=1)
    assert causes(recording.miss(1650, "n2", "n1", 7)) == ["stalled_sender"]
    recording = sent(crunched("n1"))
    assert causes(recording.miss(1650, "n2", "n1", 7)) == ["unknown"], "it was sent in time"


def test_a_heartbeat_that_the_kernel_had_no_memory_for_was_held_up() -> None:
    recording = crunched("n1")
    tag = tag_of(0, 0, 7)
    recording.add(1500, "heartbeat.sent", "n1", seq=7, peers=[], tag=tag, failed=["n2"])
    assert causes(recording.miss(1650, "n2", "n1", 7)) == ["stalled_sender"]


def test_counts_begin_again_at_a_boot() -> None:
    recording = sent(crunched())
    counted(recording, 1000, "n2", atomic=50, pfmemalloc_drops=9)
    counted(recording, 1530, "n2")
    counted(recording, 1540, "n2", rx_packets=5)
    history = recording.miss(1650, "n2", "n1", 7)
    assert causes(history) == ["allocation_failure"], "of the 50 before"


def test_packets_that_come_in_buffers_of_the_crunch_are_dropped_after_it() -> None:
    recording = Recording().complete().pressure(1000, 1200, "n2")
    counted(recording, 900, "n2")
    recording.add(1400, "heartbeat.sent", "n1", seq=6, peers=["n2"])
    counted(sent(recording), 1530, "n2", pfmemalloc_drops=1)
    assert causes(recording.miss(1650, "n2", "n1", 7)) == ["reserve_drop"]


@pytest.mark.parametrize(
    ("classes", "cause"),
    [(["block-io", "heartbeat"], "allocation_failure"), (["block-io"], "reserve_drop")],
)
def test_a_heartbeat_for_a_flagged_socket_is_not_among_the_drops(
    classes: list[str], cause: str
) -> None:
    recording = sent(crunched())
    recording.add(950, "pool.config", "n2", policy="memalloc", memalloc=classes)
    counted(recording, 1530, "n2", pfmemalloc_drops=3, atomic=9)
    recording.add(1800, "pool.config", "n2", policy="none", memalloc=[])
    assert causes(recording.miss(1650, "n2", "n1", 7)) == [cause]


PING, ACK = tag_of(0, 0, 7, Kind.PING), tag_of(1, 0, 7, Kind.ACK)


def probed(recording: Recording) -> Recording:
    """n1 asks n2, and has no answer by 1550 ms."""
    recording.add(1500, "heartbeat.sent", "n1", seq=7, peers=["n2"], tag=PING, what="ping")
    fields = {"peer": "n2", "seq": 7, "deadline": 1550 * MS, "tag": ACK, "probe": PING}
    return recording.add(1550, "heartbeat.miss", "n1", **fields)


@pytest.mark.parametrize(
    ("counts", "cause"),
    [
        ({"pfmemalloc_drops": 1}, "reserve_drop"),
        ({"atomic": 1}, "allocation_failure"),
        ({"rx_packets": 1}, "stalled_sender"),
    ],
)
def test_who_did_not_hear_a_probe_could_not_answer(counts: dict[str, int], cause: str) -> None:
    recording = crunched()
    counted(recording, 1530, "n2", **counts)
    assert causes(probed(recording)) == [cause]


def test_an_answer_that_was_sent_or_refused_is_not_explained_by_the_probe() -> None:
    recording = crunched()
    counted(recording, 1510, "n2", atomic=1)
    recording.add(1520, "heartbeat.sent", "n2", seq=7, peers=["n1"], tag=ACK, what="ack")
    assert causes(probed(recording)) == ["unknown"]
    recording = crunched()
    counted(recording, 1510, "n2", atomic=1)
    failed = {"peers": [], "failed": ["n1"], "tag": ACK, "what": "ack"}
    recording.add(1520, "heartbeat.sent", "n2", seq=7, **failed)
    assert causes(probed(recording)) == ["stalled_sender"]


def missed_by_corosync(observer: str, peer: str | None) -> Recording:
    """The observer misses a token, or the peer's answers, while n3 hears nothing."""
    recording = Recording().complete().pressure(1000, 9000, "n3")
    for node in ("n1", "n2", "n3"):
        counted(recording, 900, node)
    counted(recording, 1530, "n3", atomic=4)
    fields = {"peer": peer, "seq": 0, "deadline": 4000 * MS, "silent_ns": 2737 * MS}
    return recording.add(4000, "heartbeat.miss", observer, **fields)


@pytest.mark.parametrize(
    ("observer", "peer", "cause"),
    [
        ("n1", None, "allocation_failure"),
        ("n3", None, "allocation_failure"),
        ("n1", "n3", "allocation_failure"),
        ("n3", "n1", "allocation_failure"),
        ("n1", "n2", "unknown"),
    ],
)
def test_a_token_is_lost_at_any_node_and_an_answer_at_either_end(
    observer: str, peer: str | None, cause: str
) -> None:
    assert causes(missed_by_corosync(observer, peer)) == [cause]
