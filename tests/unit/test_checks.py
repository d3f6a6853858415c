"""Checks: figures and causes from histories written by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crunchbed.checks import packets, pressure, reserve, writes
from crunchbed.checks.lives import downtimes, lives, overlap
from crunchbed.checks.membership import ejections
from crunchbed.history.history import Interval
from tests.unit.guest_counts import KINDS, counted
from tests.unit.recording import MS, Recording, ms

OTHERS = ("n2", "n3")


# --- lives


def test_a_node_is_down_from_its_fence_until_it_is_up() -> None:
    recording = Recording().complete().fence(2000, "n1", view=2, observers=OTHERS)
    history = recording.rejoin(5000, "n1", view=3, observers=OTHERS).history()
    assert downtimes(history, "n1") == [ms(2000, 5000)]
    assert lives(history, "n1") == [ms(0, 2000), ms(5000, 10_000)]
    assert lives(history, "n2") == [ms(0, 10_000)]


def test_a_fence_that_never_took_the_node_down_ends_no_life() -> None:
    recording = Recording().complete().add(2000, "fence.start", target="n1")
    recording.add(3000, "node.up", target="n1").add(4000, "node.down", target="n1")
    assert lives(recording.history(), "n1") == [ms(0, 4000)]


def test_a_node_records_its_own_fall_without_a_target() -> None:
    assert downtimes(Recording().complete().add(3000, "node.down", "n1").history(), "n1")


_POINTS = st.lists(st.integers(0, 40), max_size=10, unique=True).map(sorted)


def _intervals(points: list[int]) -> list[Interval]:
    return [Interval(*pair) for pair in zip(points[::2], points[1::2], strict=False)]


@given(_POINTS.map(_intervals), _POINTS.map(_intervals))
def test_overlap_is_what_both_hold(some: list[Interval], others: list[Interval]) -> None:
    common = overlap(some, others)
    held = [t for t in range(41) if any(t in one for one in common)]
    assert held == [
        t for t in range(41) if any(t in one for one in some) and any(t in o for o in others)
    ]
    assert common == sorted(common)


# --- membership


def test_an_ejection_counts_once_whoever_reports_it() -> None:
    recording = Recording().complete().fence(2000, "n1", view=2, observers=OTHERS)
    recording.add(2500, "membership.view", "n1", number=2, removed=["n1"], added=[])
    found = ejections(recording.history())
    assert [(one.node, one.t, one.false) for one in found] == [("n1", 2000 * MS, True)]


def test_an_ejection_after_a_death_is_a_true_one() -> None:
    recording = Recording().complete().add(1500, "node.down", target="n1")
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    assert [one.false for one in ejections(recording.history())] == [False]


def test_a_node_ejected_again_after_its_return_counts_twice() -> None:
    recording = Recording().complete().fence(2000, "n1", view=2, observers=OTHERS)
    recording.rejoin(4000, "n1", view=3, observers=OTHERS)
    recording.fence(6000, "n1", view=4, observers=OTHERS)
    found = ejections(recording.history())
    assert [(one.t, one.false) for one in found] == [(2000 * MS, True), (6000 * MS, True)]


def test_a_late_observer_of_an_old_view_reports_nothing_new() -> None:
    recording = Recording().complete().fence(2000, "n1", view=2, observers=("n2",))
    recording.rejoin(4000, "n1", view=3, observers=("n2",))
    recording.add(4200, "membership.view", "n3", number=2, removed=["n1"], added=[])
    assert len(ejections(recording.history())) == 1


def test_an_observer_that_was_deaf_and_takes_an_older_view_reports_nothing_new() -> None:
    recording = Recording().complete().fence(2000, "n1", view=2, observers=("n2",))
    recording.add(3000, "membership.view", "n2", number=3, removed=["n4"], added=[])
    recording.rejoin(4000, "n1", view=4, observers=("n2",))
    recording.add(4200, "membership.view", "n3", number=3, removed=["n1", "n4"], added=[])
    assert [one.node for one in ejections(recording.history())] == ["n1", "n4"]


def test_the_first_view_of_a_newcomer_readmits_nobody_who_was_fenced() -> None:
    """It tells all members as new, and one of them has been fenced and not removed yet."""
    recording = Recording().add(2000, "fence.start", target="n1", by="n2")
    recording.add(2005, "node.down", target="n1").add(2006, "fence.confirmed", target="n1", by="n2")
    everybody = ["n1", "n2", "n3", "n4"]
    recording.add(2010, "membership.view", "n4", number=2, removed=[], added=everybody)
    recording.add(2100, "membership.view", "n2", number=3, removed=["n1"], added=[])
    assert [one.node for one in ejections(recording.history())] == ["n1"]


def test_a_boot_replaced_by_the_next_is_no_ejection() -> None:
    recording = Recording().complete()
    recording.add(3000, "membership.view", "n2", number=2, removed=["n1"], added=["n1"])
    assert ejections(recording.history()) == []


def test_a_confirmed_fence_without_a_view_is_an_ejection() -> None:
    recording = Recording().complete().add(9990, "fence.start", target="n1", by="n2")
    recording.add(9995, "node.down", target="n1").add(9996, "fence.confirmed", target="n1")
    assert [(one.node, one.false) for one in ejections(recording.history())] == [("n1", True)]


def test_a_removal_without_a_fence_is_an_ejection() -> None:
    recording = Recording().complete()
    recording.add(3000, "membership.view", "n2", number=2, removed=["n1"], added=[])
    found = ejections(recording.history())
    assert [(one.t, one.false) for one in found] == [(3000 * MS, True)]


# --- writes


def test_percentiles_are_nearest_rank() -> None:
    values = [number * 1_000_000_000 for number in range(1, 101)]
    assert writes.percentile_seconds(values, 0.5) == 50
    assert writes.percentile_seconds(values, 0.99) == 99
    assert writes.percentile_seconds(values[:1], 0.99) == 1
    assert writes.percentile_seconds([], 0.5) is None


def test_a_stall_counts_only_while_writes_are_outstanding() -> None:
    recording = Recording().complete().ack(1000, "n1", 990).ack(3000, "n1", 2900)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 0.1
    recording.ack(4000, "n1", 2950)  # outstanding since before the last acknowledgement
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 1.0
    recording.ack(4500, "n1", 1500)  # and this one all along
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 1.5


def test_a_stall_still_open_at_the_end_counts_up_to_the_end() -> None:
    recording = Recording().complete().ack(6000, "n1", 5990)
    for at in range(1000, 10_000, 50):
        recording.add(at, "pool.sample", "n1", dirty=40)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 4.0


def test_a_stall_ends_at_the_nodes_fence() -> None:
    recording = Recording().complete().ack(6000, "n1", 5990)
    for at in range(1000, 7000, 50):
        recording.add(at, "pool.sample", "n1", dirty=40)
    recording.fence(7500, "n1", view=2, observers=OTHERS)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 1.5


def test_a_stall_that_began_after_a_quiet_time_begins_with_its_dirty_pages() -> None:
    recording = Recording().complete().ack(2000, "n1", 1990)
    for at in range(2050, 10_000, 50):
        recording.add(at, "pool.sample", "n1", dirty=40 if at >= 9000 else 0)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 1.0


def test_pages_that_wait_no_longer_are_no_open_stall() -> None:
    recording = Recording().complete().ack(2000, "n1", 1990)
    for at in range(2050, 10_000, 50):
        recording.add(at, "pool.sample", "n1", dirty=40 if at < 3000 else 0)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 0.01


def test_less_than_a_request_of_dirty_pages_is_no_stall() -> None:
    recording = Recording().complete().ack(2000, "n1", 1990)
    for at in range(2050, 10_000, 50):
        recording.add(at, "pool.sample", "n1", dirty=3)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 0.01


def test_a_node_that_has_no_disk_yet_since_its_boot_waits_for_no_write() -> None:
    recording = Recording().phases(start=0, control=10, collect=9000)
    recording.add(20, "node.up", target="n1", incarnation=0)
    recording.add(30, "daemon.ready", "n1", name="initiator").ack(110, "n1", 100)
    recording.add(1000, "node.down", target="n1", reason="fence")
    recording.add(2000, "node.up", target="n1", incarnation=1)
    for at in (2100, 2200, 8800):
        recording.add(at, "pool.sample", "n1", dirty=40)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 0.01
    recording.add(8500, "daemon.ready", "n1", name="initiator")
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 0.5


def test_a_life_without_any_acknowledgement_is_a_stall_if_pages_waited() -> None:
    recording = Recording().complete()
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) is None
    recording.add(4000, "pool.sample", "n1", dirty=40)
    assert writes.longest_stall_seconds(recording.history(), "n1", 16384) == 6.0


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=8))
def test_the_longest_stall_is_the_one_a_clock_would_find(
    ends: list[tuple[int, int]],
) -> None:
    pairs = [(min(pair), max(pair) + 1) for pair in ends]
    recording = Recording().phases(start=0, collect=100)
    for submitted, acknowledged in pairs:
        recording.ack(acknowledged, "n1", submitted)
    longest = since = 0
    for tick in range(62):  # a stall ends with an acknowledgement, or with nothing outstanding
        busy = any(submitted <= tick < acknowledged for submitted, acknowledged in pairs)
        if not busy:
            since = tick + 1
        elif any(acknowledged == tick for _, acknowledged in pairs):
            since = tick
        longest = max(longest, tick + 1 - since)
    assert writes.longest_stall_seconds(recording.history(), "n1", 4096) == longest / 1000


def test_lost_and_damaged_blocks_are_lost() -> None:
    recording = Recording()
    assert writes.lost(recording.history()) is None
    recording.add(1, "verify.result", "storage", checked=10, ok=7, lost=2, corrupt=1)
    assert writes.lost(recording.history()) == 3
    assert writes.lost(recording.history(), "n1") is None


# --- pressure, reserve, packets


def test_pressure_that_never_ended_lasts_until_the_end_of_the_run() -> None:
    recording = Recording().complete().pressure(1000, 1500, "n1")
    recording.add(9000, "pressure.begin", "n1", free=512)
    assert pressure.episodes(recording.history(), "n1") == [ms(1000, 1500), ms(9000, 10_000)]
    assert pressure.episodes(recording.history(), "n2") == []


def test_pressure_ends_with_the_node() -> None:
    recording = Recording().complete().pressure(1500, 4000, "n1")
    recording.fence(2000, "n1", view=2, observers=OTHERS)
    recording.pressure(4100, 4200, "n1")  # still down
    recording.rejoin(5000, "n1", view=3, observers=OTHERS).pressure(6000, 6001, "n1")
    found = pressure.episodes(recording.history(), "n1")
    assert found == [ms(1500, 2000), ms(6000, 6001)]


def test_an_episode_known_only_by_its_end_counts() -> None:
    recording = Recording().complete()
    recording.add(2000, "pressure.end", "n1", since=1900 * MS, duration_ns=100 * MS)
    assert pressure.episodes(recording.history(), "n1") == [ms(1900, 2000)]


def test_the_reserve_is_the_last_configured_and_its_low_water_the_lowest() -> None:
    recording = Recording().add(1, "pool.config", "n1", total=100, reserve=10, policy="none")
    recording.add(2, "pool.config", "n1", total=100, reserve=20, policy="none")
    for at, pages in ((3, 50), (4, 7), (5, 7)):
        recording.add(at, "pool.sample", "n1", low_water=pages)
    history = recording.history()
    assert (reserve.reserve_pages(history, "n1"), reserve.low_water_pages(history, "n1")) == (20, 7)
    assert reserve.reserve_pages(history, "n2") is reserve.low_water_pages(history, "n2") is None


def test_memalloc_failures_are_of_single_pages_over_all_boots() -> None:
    recording = Recording()
    for at, single, several in ((1, 0, 0), (2, 3, 90), (3, 3, 95), (4, 1, 1), (5, 2, 1)):
        counted(recording, at, "n1", memalloc=single, memalloc_fragment=several)
    counted(recording, 6, "n2")
    history = recording.history()
    assert reserve.memalloc_failures(history, "n1") == 3 + 2, "counts begin again at the reboot"
    assert reserve.memalloc_failures(history, "n2") == 0
    assert reserve.memalloc_failures(history, "n3") is None


def test_guests_that_counted_single_and_several_pages_together_tell_no_failures() -> None:
    recording = Recording()
    counted(recording, 1, "n1", kinds=KINDS[:-1], memalloc=7)
    assert reserve.memalloc_failures(recording.history(), "n1") is None


def test_packets_are_counted_once_in_each_verdict() -> None:
    rows = [
        ("receive", "pass", "granted", 10),
        ("receive", "pass", "from_reserve", 5),
        ("receive", "drop", "reserve_exhausted", 2),
        ("deliver", "pass", "granted", 10),
        ("deliver", "drop", "not_memalloc", 5),
        ("transmit", "drop", "reserve_exhausted", 1),
    ]
    table = [
        {"class": "heartbeat", "hook": h, "verdict": v, "reason": r, "packets": n, "pages": n}
        for h, v, r, n in rows
    ]
    recording = Recording().add(1, "packets", "n1", table=[]).add(2, "packets", "n1", table=table)
    one = packets.packets(recording.history(), "n1")
    assert one == {
        "heartbeat": {
            "received": {"granted": 10, "from_reserve": 5},
            "delivered": {"granted": 10},
            "dropped": {"reserve_exhausted": 3, "not_memalloc": 5},
        }
    }
    assert packets.packets(recording.history(), "n2") == {}
    both = packets.added([one, one])
    assert both["heartbeat"]["dropped"] == {"reserve_exhausted": 6, "not_memalloc": 10}
