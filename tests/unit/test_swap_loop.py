"""The loop of a crunch by writeback under a kernel's profile: pages are freed only by writes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from crunchbed.backends.common.settings import clean_pages
from crunchbed.backends.namespaces.configs import initiator
from crunchbed.scenario.loader import load
from nodes.block.task import PROGRESS_NS, WritebackTask
from nodes.block.writeback import OWN_WRITES, TURN_NS, TURN_PAGES, WritebackSettings
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.writes import DirtyProgress, WriteWaits
from reserve_agent.contract.packets import HOLD_MILLI
from reserve_agent.model.pool import Pool

RESERVE = 200
SECOND = 1_000_000_000


def pool() -> Pool:
    made = Pool()
    made.resize(8000, RESERVE)
    made.reset(3000)
    return made


def test_the_level_is_held_until_as_many_pages_were_written() -> None:
    one = pool()
    one.swap(1000, 60)
    assert (one.free, one.dirty, one.wanted, one.pressure) == (60, 1250, 1000, True)
    for _ in range(9):
        one.wash(100)
        assert (one.free, one.pressure) == (60, True)
    one.wash(100)
    assert (one.wanted, one.squeezed, one.pressure) == (0, 0, False)
    assert one.free == 5000 - 250, "all but what is still dirty"


def test_what_packets_give_back_is_not_what_was_written() -> None:
    one = pool()
    one.swap(1000, 60)
    assert one.lend(20, 0)
    one.take_back(20)
    assert (one.free, one.wanted) == (60, 1000)


def test_tasks_that_give_up_let_go() -> None:
    one = pool()
    one.swap(1000, 60)
    one.ask(50)
    one.give_up()
    assert (one.wanted, one.demand, one.squeezed, one.pressure) == (0, 0, 0, False)


def test_tasks_that_wait_are_served_after_the_loop() -> None:
    one = pool()
    one.swap(100, 60)
    one.ask(50)
    assert (one.demand, one.dirty) == (50, 125)
    one.wash(100)
    assert (one.demand, one.dirty, one.wanted) == (0, 75, 0)


def test_pages_of_tasks_become_dirty_where_free_ones_are_too_few() -> None:
    one = pool()
    one.swap(6000, 60)
    assert (one.free, one.clean, one.dirty) == (0, 500, 7500)
    one.wash(6060)
    assert (one.wanted, one.pressure) == (0, False)


class Pages:
    """The pool as the initiator has it."""

    def __init__(self) -> None:
        self.state: Any = SimpleNamespace(dirty=0, demand=0, wanted=0, reserve=RESERVE)
        self.asked: list[tuple[int, int]] = []
        self.freed = 0

    def dirty(self, pages: int) -> None:
        self.state.dirty += pages

    def swap(self, pages: int, level: int) -> None:
        self.asked.append((pages, level))
        self.state.wanted += pages

    def clean(self, pages: int) -> int:
        self.freed += pages
        return pages

    def calm(self) -> None:
        self.state.wanted = 0


def task(
    pages: Pages, events: list[Event], *, swaps: bool, dirty_rate: float = 0, queue_depth: int = 4
) -> WritebackTask:
    settings = WritebackSettings(
        incarnation=0,
        transport="nbd",
        first_block=0,
        region_blocks=4096,
        queue_depth=queue_depth,
        request_blocks=4,
        dirty_rate=dirty_rate,
        swaps=swaps,
    )
    return WritebackTask(settings, pages, events.append, 0)


def test_a_burst_is_swapped_for_at_once_and_at_its_time() -> None:
    pages, events = Pages(), list[Event]()
    one = task(pages, events, swaps=True)
    one.burst(1000, 10, 5_000)
    one.dirty(4_999)
    assert pages.asked == []
    one.dirty(5_000)
    one.dirty(9_000)
    assert pages.asked == [(1000, RESERVE * HOLD_MILLI // 1000)]
    pages.state.wanted = 400
    one.report_progress(10_000)
    (progress,) = events
    assert isinstance(progress, DirtyProgress)
    assert (progress.requested, progress.asked, progress.dirtied) == (1000, 1000, 600)
    one.calm()
    assert pages.state.wanted == 0
    one.report_progress(SECOND)
    assert len(events) == 1, "what they gave up was never swapped for"


def test_what_tasks_write_of_pages_that_they_keep_waits_for_no_page() -> None:
    pages = Pages()
    one = task(pages, [], swaps=True, dirty_rate=1000)
    one.connected(0, first=True)
    one.dirty(SECOND)
    assert pages.state.dirty == 0, "nobody was asked for a page"
    request = one.next(SECOND)
    assert request is not None
    assert request.own
    pages.state.dirty = 2
    one.acknowledged(request.sequence, SECOND)
    assert pages.freed == 0, "they are the task's before and after it"


def test_each_task_waits_for_its_write_and_then_for_its_turn() -> None:
    one = task(Pages(), [], swaps=True, dirty_rate=1000, queue_depth=16)
    one.connected(0, first=True)
    assert len(list(iter(lambda: one.next(SECOND), None))) == OWN_WRITES
    assert one.due_ns is None, "none of them wants another"
    one.acknowledged(2, SECOND)
    pause = OWN_WRITES * 4 * SECOND // 1000
    assert one.due_ns == SECOND + pause
    assert one.next(SECOND + pause - 1) is None
    assert one.next(SECOND + pause) is not None
    assert one.next(SECOND + pause) is None


def test_a_write_that_waits_is_told_of() -> None:
    events: list[Event] = []
    one = task(Pages(), events, swaps=True, dirty_rate=1000)
    one.connected(0, first=True)
    events.clear()
    assert one.next(SECOND) is not None
    for now in (SECOND + PROGRESS_NS - 1, SECOND + PROGRESS_NS, SECOND + 2 * PROGRESS_NS):
        one.report_progress(now)
    assert [(type(each), each.t) for each in events] == [(WriteWaits, SECOND + 2 * PROGRESS_NS)]
    one.report_progress(SECOND + 3 * PROGRESS_NS)
    assert isinstance(events[-1], WriteWaits)
    assert events[-1].submitted == SECOND


def test_a_kernel_swaps_in_turns() -> None:
    pages = Pages()
    pages.state.dirty = 1000
    one = task(pages, [], swaps=True, queue_depth=64)
    one.connected(0, first=True)

    def written(now_ns: int) -> int:
        return sum(request.blocks for request in iter(lambda: one.next(now_ns), None))

    assert written(SECOND) == TURN_PAGES
    assert written(SECOND + TURN_NS - 1) == 0
    assert written(SECOND + TURN_NS) == 0, "a turn's pages are under writeback"
    for sequence in (1, 2):
        one.acknowledged(sequence, SECOND + TURN_NS)
    assert written(SECOND + 2 * TURN_NS) == 8
    for sequence in range(3, TURN_PAGES // 4 + 3):
        one.acknowledged(sequence, SECOND + 2 * TURN_NS)
    assert written(SECOND + 3 * TURN_NS) == TURN_PAGES


def test_only_a_kernels_profile_swaps() -> None:
    for changes, swaps in (({}, False), ({"memory.nic": "e1000"}, True)):
        scenario = load("writeback-crunch").with_overrides(changes)
        assert initiator(scenario, "10.0.0.1", "n1", 0)["swaps"] is swaps


def test_a_flood_finds_what_machines_leave_it_by_a_kernels_profile_alone() -> None:
    flood = load("heads-exhausted").with_overrides({"cluster.backend": "namespaces"})
    plain = load("flood")
    assert clean_pages(plain) == plain.memory.clean
    vmxnet3 = flood.with_overrides({"memory.nic": "vmxnet3"})
    left = [16384 - clean_pages(one) for one in (flood, vmxnet3)]
    assert left == [1000 + 384 + 32, 1000 + 384 + 488], "with the ring's pages"
    assert clean_pages(flood.with_overrides({"crunch": None})) == flood.memory.clean
