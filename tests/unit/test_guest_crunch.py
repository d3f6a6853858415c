"""Crunches of a guest: what its module was asked for, held, and what the history has of it."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from nodes.guest.layout import DirtyForm, Kind, Memalloc, Socket
from reserve_agent.contract.events.guests import GuestCounted, GuestWindow
from reserve_agent.contract.events.heartbeats import HeartbeatLate
from reserve_agent.contract.events.pressure import PoolConfigured, PressureBegan, PressureEnded
from reserve_agent.contract.events.writes import DirtyProgress
from reserve_agent.errors import BadInput
from tests.unit.fake_guest import FREE_PAGES, MIN_PAGES, MS
from tests.unit.guest_cluster import GuestCluster, GuestNode


@pytest.fixture
def cluster() -> GuestCluster:
    """Two nodes that have been up for a second."""
    made = GuestCluster(2)
    made.boot()
    return made


@pytest.fixture
def node(cluster: GuestCluster) -> GuestNode:
    return cluster.nodes["n1"]


def spans(node: GuestNode) -> list[tuple[int, int]]:
    """Begin and end of every episode of pressure."""
    begins, ends = node.of(PressureBegan), node.of(PressureEnded)
    assert [event.t for event in begins] == [event.since for event in ends]
    assert all(event.t - event.since == event.duration_ns for event in ends)
    return [(event.since, event.t) for event in ends]


def test_a_window_is_held_for_exactly_so_long_and_begins_about_when_it_should(
    cluster: GuestCluster, node: GuestNode
) -> None:
    start = cluster.now() + 50 * MS
    node.life.memory.hold([(start, start + 300 * MS, MIN_PAGES // 4)])
    cluster.run(200)
    pool = node.life.memory.pool
    assert pool.pressure
    assert (pool.free, pool.low_water) == (MIN_PAGES // 4, MIN_PAGES // 4)
    assert pool.hoarded == FREE_PAGES - MIN_PAGES // 4
    cluster.run(400)
    assert not pool.pressure
    ((since, ended),) = spans(node)
    assert ended - since == 300 * MS
    assert abs(since - start) <= 10 * MS
    (window,) = node.of(GuestWindow)
    assert (window.number, window.demand, window.asked) == (0, None, start)
    assert (window.reached, window.ended, window.t) == (since, ended, ended)
    assert window.hold_ns == 300 * MS
    assert window.requested_pages == window.reached_pages == MIN_PAGES // 4


def test_many_short_windows_are_handed_over_few_at_a_time_and_none_is_lost(
    cluster: GuestCluster, node: GuestNode
) -> None:
    start = cluster.now() + 50 * MS
    windows = [(start + n * 10 * MS, start + n * 10 * MS + 50_000, MIN_PAGES) for n in range(300)]
    node.life.memory.hold(windows)
    cluster.run(100)
    assert 0 < node.guest.commands.count(Kind.LEVEL) < 40
    cluster.run(3500)
    found = spans(node)
    assert [ended - since for since, ended in found] == [50_000] * 300
    assert [window.number for window in node.of(GuestWindow)] == list(range(300))
    # After the first the lead is what a window before has needed.
    late = [since - begin for (since, _), (begin, _, _) in zip(found, windows, strict=True)]
    assert max(map(abs, late[20:])) <= 4 * MS


def test_a_window_begins_by_what_the_one_before_has_needed(
    cluster: GuestCluster, node: GuestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.fake_guest.REACH_NS", 40 * MS)
    start = cluster.now() + 100 * MS
    windows = [(start + n * 200 * MS, start + n * 200 * MS + 50 * MS, 9) for n in range(4)]
    node.life.memory.hold(windows)
    cluster.run(1200)
    late = [window.reached - window.asked for window in node.of(GuestWindow) if window.reached]
    assert late[0] >= 30 * MS  # nothing is known yet
    assert [abs(one) <= 4 * MS for one in late[1:]] == [True] * 3


@pytest.mark.parametrize("level", [0, 1, 96, 128, 255, 256])
def test_the_level_in_pages_survives_its_thousandths(
    cluster: GuestCluster, node: GuestNode, level: int
) -> None:
    start = cluster.now()
    node.life.memory.hold([(start, start + MS, level)])
    cluster.run(100)
    (window,) = node.of(GuestWindow)
    assert window.requested_pages == level


def test_pressure_that_nobody_asked_for_is_seen_in_the_counters(
    cluster: GuestCluster, node: GuestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.fake_guest.FREE_PAGES", MIN_PAGES - 6)
    cluster.run(100)
    monkeypatch.undo()
    cluster.run(100)
    ((since, ended),) = spans(node)
    assert abs(ended - since - 100 * MS) <= 10 * MS
    assert node.of(PressureBegan)[0].free == MIN_PAGES - 6


def test_a_burst_wants_pages_until_the_kernel_has_freed_them(
    cluster: GuestCluster, node: GuestNode
) -> None:
    memory, start = node.life.memory, cluster.now() + 50 * MS
    memory.burst(4000, start)
    assert memory.pool.demand == 4000
    cluster.run(150)
    assert node.guest.commands.count(Kind.SWAP) == 1
    assert 0 < memory.pool.demand < 4000
    assert memory.pool.pressure
    cluster.run(500)
    assert memory.pool.demand == 0
    assert not memory.pool.pressure
    progress = node.of(DirtyProgress)
    assert progress[-1].dirtied == 4000
    assert [event.dirtied for event in progress] == sorted(event.dirtied for event in progress)
    assert len(progress) >= 3
    (window,) = node.of(GuestWindow)
    assert window.demand == 4000
    assert window.refilled_pages >= 4000
    ((since, ended),) = spans(node)
    assert 0 <= since - start <= 10 * MS
    assert abs(ended - since - 200 * MS) <= 10 * MS  # 20 pages a millisecond


def test_a_kernel_that_stands_still_is_calmed(cluster: GuestCluster, node: GuestNode) -> None:
    node.guest.frees_a_ms = 0
    memory = node.life.memory
    memory.burst(4000, cluster.now())
    cluster.run(2000)
    assert memory.pool.demand == 4000
    memory.calm()
    cluster.run(50)
    assert memory.pool.demand == 0
    assert not memory.pool.pressure
    assert node.guest.commands.count(Kind.DIRTY) == 2
    assert node.guest.commands.count(Kind.SWAP) == 2
    assert node.of(DirtyProgress)[-1].dirtied == 0
    node.guest.frees_a_ms = 20
    memory.burst(100, cluster.now())  # there may be another one
    cluster.run(100)
    assert node.of(DirtyProgress)[-1].dirtied == 100


def test_a_burst_that_is_calmed_before_it_begins_never_does(
    cluster: GuestCluster, node: GuestNode
) -> None:
    memory = node.life.memory
    memory.burst(4000, cluster.now() + 500 * MS)
    cluster.run(100)
    memory.calm()
    cluster.run(10)
    assert memory.pool.demand == 0
    cluster.run(1000)
    assert not node.of(GuestWindow)
    start = cluster.now() + 20 * MS
    memory.hold([(start + n * 20 * MS, start + n * 20 * MS + MS, 100) for n in range(30)])
    cluster.run(1000)
    assert len(node.of(GuestWindow)) == 30


def test_calm_while_the_task_is_busy_is_repeated(cluster: GuestCluster, node: GuestNode) -> None:
    node.guest.frees_a_ms = 0
    node.life.memory.burst(4000, cluster.now())
    cluster.run(100)
    node.guest.refuses[Kind.DIRTY] = errno.EBUSY
    node.life.memory.calm()
    cluster.run(500)
    assert node.guest.commands.count(Kind.SWAP) == 1
    node.guest.refuses.clear()
    cluster.run(200)
    assert node.guest.commands.count(Kind.SWAP) == 2
    assert node.life.failure is None


def test_a_burst_needs_a_device_and_there_is_one_at_a_time(node: GuestNode) -> None:
    node.life.memory.burst(10, 0)
    with pytest.raises(BadInput, match="not over"):
        node.life.memory.burst(10, 0)
    bare = GuestCluster(2, disk=None).nodes["n1"]
    with pytest.raises(BadInput, match="no block device"):
        bare.life.memory.burst(10, 0)


def test_what_is_refused_makes_the_run_invalid(cluster: GuestCluster, node: GuestNode) -> None:
    node.guest.refuses[Kind.LEVEL] = errno.ENOSPC
    node.life.memory.hold([(cluster.now(), cluster.now() + MS, 10)])
    cluster.run(50)
    assert node.life.failure == "the guest refused level: No space left on device"


def test_pressure_ends_with_the_guests_power(cluster: GuestCluster, node: GuestNode) -> None:
    start = cluster.now()
    node.life.memory.hold([(start, start + 10_000 * MS, 0), (start + 20_000 * MS, 10**18, 0)])
    cluster.run(200)
    node.life.close()
    ((_, ended),) = spans(node)
    assert ended == cluster.now()
    assert not node.life.memory.pool.pressure


def test_a_guest_that_stands_still_under_pressure_is_a_finding(
    cluster: GuestCluster, node: GuestNode
) -> None:
    start = cluster.now()
    node.life.memory.hold([(start, start + 300 * MS, 0)])
    cluster.run(20)
    node.guest.frozen = True
    cluster.run(150)
    node.guest.frozen = False
    cluster.run(1200)
    assert not node.of(HeartbeatLate)
    late = max(event.late_ns for event in node.of(GuestCounted))
    assert 145 * MS <= late <= 155 * MS


def test_the_evidence_of_a_loss_is_recorded_when_it_rises(
    cluster: GuestCluster, node: GuestNode
) -> None:
    cluster.run(3000)
    assert 3 <= len(node.of(GuestCounted)) <= 6  # one a second
    before = len(node.of(GuestCounted))
    node.guest.counters.pfmemalloc_drops = 7
    cluster.run(60)
    (event,) = node.of(GuestCounted)[before:]
    assert event.pfmemalloc_drops == 7
    node.guest.counters.failed[0] = 3
    cluster.run(60)
    assert node.of(GuestCounted)[-1].failed["atomic"] == 3


@pytest.mark.parametrize(("policy", "memalloc"), [("none", True), ("memalloc", False)])
def test_a_reader_keeps_what_comes_until_it_is_woken(
    cluster: GuestCluster, node: GuestNode, policy: str, memalloc: bool
) -> None:
    node.life.set_policy(policy)
    node.life.open_reader(9001, memalloc=memalloc)
    cluster.run(10)
    assert (node.guest.sink, Socket.SINK in node.guest.flags) == (9001, False)
    node.guest.agent.sink_bytes = 5000
    cluster.run(10)
    assert node.life.memory.pool.hoarded == 2
    node.life.memory.wake()
    cluster.run(10)
    assert node.guest.sink == 0


def test_a_reader_is_flagged_where_the_policy_has_flags(
    cluster: GuestCluster, node: GuestNode
) -> None:
    node.life.set_policy("memalloc")
    node.life.open_reader(9001, memalloc=True)
    cluster.run(10)
    assert node.guest.flags[Socket.SINK] == Memalloc.ON


def test_a_reader_that_the_guest_refuses_fails_the_node(
    cluster: GuestCluster, node: GuestNode
) -> None:
    node.guest.refuses[Kind.SINK] = errno.EADDRINUSE
    node.life.open_reader(9001, memalloc=False)
    cluster.run(10)
    assert node.life.failure == "the guest refused sink: Address already in use"


def test_another_reserve_is_told_once_the_kernel_has_it(
    cluster: GuestCluster, node: GuestNode
) -> None:
    node.life.resize(64)
    cluster.run(60)
    assert [event.reserve for event in node.of(PoolConfigured)] == [MIN_PAGES, 64]


def test_buffered_pages_need_no_swap(node: GuestNode, cluster: GuestCluster) -> None:
    burst = replace(node.life.memory._config.burst, buffered=True)
    node.life.memory._config = replace(node.life.memory._config, burst=burst)
    node.life.memory.burst(400, cluster.now() + 20 * MS)
    cluster.run(100)
    assert Kind.SWAP not in node.guest.commands
    assert node.guest.dirty_form == DirtyForm.BUFFERED
    assert node.of(DirtyProgress)[-1].dirtied == 400
    node.life.memory.calm()
    cluster.run(20)
    assert Kind.SWAP not in node.guest.commands
