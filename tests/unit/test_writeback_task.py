"""A node's writeback without a connection: what is submitted, repeated and given up, and when."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nodes.block.task import GIVEN_UP, PROGRESS_NS, RETRY_NS, WritebackTask
from nodes.block.writeback import Request, WritebackSettings
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import (
    DirtyProgress,
    IoDisconnected,
    IoReconnected,
    WriteAcknowledged,
    WriteFailed,
)

SECOND = 1_000_000_000


class Pages:
    """Pages without a bound, but for ``refuse``: what tasks ask for then waits."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(dirty=0, demand=0)
        self.cleaned = 0
        self.calmed = False
        self.refuse = False

    def dirty(self, pages: int) -> None:
        if self.refuse:
            self.state.demand += pages
        else:
            self.state.dirty += pages

    def clean(self, pages: int) -> int:
        self.state.dirty -= pages
        self.cleaned += pages
        return pages

    def calm(self) -> None:
        self.calmed = True
        self.state.demand = 0


class Bench:
    """A task with a queue of two requests of four blocks, and what it said."""

    def __init__(self, *, dirty_rate: float = 0) -> None:
        self.events: list[Event] = []
        self.pages = Pages()
        settings = WritebackSettings(
            incarnation=2,
            transport="nbd",
            first_block=8,
            region_blocks=40,
            queue_depth=2,
            request_blocks=4,
            dirty_rate=dirty_rate,
        )
        self.task = WritebackTask(settings, self.pages, self.events.append, 0)

    def connect(self, now: int = 0) -> list[Request]:
        return self.task.connected(now, first=True)

    def submit(self, now: int) -> list[Request]:
        found = []
        while (request := self.task.next(now)) is not None:
            found.append(request)
        return found

    def last(self, count: int = 1) -> list[Event]:
        return self.events[-count:]


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.pages.state.dirty = 100
    return made


def test_nothing_is_submitted_before_the_first_connection(bench: Bench) -> None:
    assert bench.submit(1) == []
    assert bench.connect(5) == []
    assert bench.events == [DaemonReady(t=5, name="initiator")]
    assert [request.sequence for request in bench.submit(6)] == [1, 2]


def test_an_acknowledged_write_frees_its_pages_and_makes_room(bench: Bench) -> None:
    bench.connect()
    first, _ = bench.submit(6)
    bench.task.acknowledged(first.sequence, 9)
    assert bench.pages.cleaned == 4
    assert bench.last() == [
        WriteAcknowledged(
            t=9, seq=1, incarnation=2, block=8, blocks=4, submitted=6, transport="nbd"
        )
    ]
    assert [request.sequence for request in bench.submit(10)] == [3]


def test_what_the_target_refuses_stays_dirty_and_is_repeated_after_a_while(bench: Bench) -> None:
    bench.connect()
    first, second = bench.submit(6)
    bench.task.failed(first.sequence, "errno 5", 10)
    assert bench.last() == [WriteFailed(t=10, seq=1, error="errno 5", transport="nbd")]
    assert bench.pages.state.dirty == 100
    assert bench.submit(10 + RETRY_NS - 1) == [], "the request still has its place in the queue"
    assert bench.submit(10 + RETRY_NS) == [first]
    assert bench.submit(10 + 2 * RETRY_NS) == [], "it is repeated once for each refusal"
    bench.task.acknowledged(second.sequence, 11)
    bench.task.acknowledged(first.sequence, 12)
    assert not bench.task.in_flight


def test_after_a_loss_everything_in_flight_is_written_again_and_refusals_are_forgotten(
    bench: Bench,
) -> None:
    bench.connect()
    flying = bench.submit(6)
    bench.task.failed(flying[0].sequence, "errno 5", 7)
    bench.task.disconnected("cut", 8)
    assert bench.last() == [IoDisconnected(t=8, error="cut", transport="nbd")]
    assert bench.submit(8 + RETRY_NS) == [], "no repetition without a connection"
    assert bench.task.connected(9 + RETRY_NS, first=False) == flying
    assert bench.last() == [IoReconnected(t=9 + RETRY_NS, transport="nbd")]
    assert bench.submit(10 + RETRY_NS) == []


def test_without_a_connection_writes_queue_up(bench: Bench) -> None:
    bench.connect()
    bench.task.disconnected("cut", 5)
    waiting = bench.submit(6)
    assert [request.submitted_ns for request in waiting] == [6, 6]
    assert bench.task.connected(9, first=False) == waiting


def test_when_no_connection_comes_in_time_writes_fail_until_one_does(bench: Bench) -> None:
    bench.connect()
    first, _ = bench.submit(6)
    bench.task.disconnected("cut", 7)
    bench.task.acknowledged(first.sequence, 7)  # what was acknowledged makes room for one more
    bench.task.given_up(8)
    assert bench.last() == [WriteFailed(t=8, seq=2, error=GIVEN_UP, transport="nbd")]
    (third,) = bench.submit(9)
    assert bench.last() == [WriteFailed(t=9, seq=3, error=GIVEN_UP, transport="nbd")]
    again = bench.task.connected(10, first=False)
    assert [request.sequence for request in again] == [2, third.sequence]
    bench.task.acknowledged(2, 11)
    assert [request.sequence for request in bench.submit(12)] == [4]
    assert not any(isinstance(event, WriteFailed) for event in bench.last(2)), "no longer given up"


def test_tasks_ask_for_pages_by_the_clock() -> None:
    bench = Bench(dirty_rate=100)
    bench.task.dirty(SECOND)
    assert bench.pages.state.dirty == 100
    bench.task.burst(50, 1000, SECOND)
    bench.task.dirty(2 * SECOND)
    assert bench.pages.state.dirty == 250


def test_progress_counts_what_tasks_got_and_is_told_when_it_changes() -> None:
    bench = Bench()
    bench.task.report_progress(1)
    assert bench.events == [], "no burst"
    bench.task.burst(400, 1000, 0)
    bench.task.dirty(SECOND // 10)
    bench.pages.refuse = True
    bench.task.dirty(2 * SECOND // 10)
    now = SECOND // 5
    bench.task.report_progress(now)
    assert bench.events == [DirtyProgress(t=now, requested=400, asked=200, dirtied=100)]
    bench.pages.state.demand = 0
    bench.task.report_progress(now + PROGRESS_NS - 1)
    assert len(bench.events) == 1, "not so often"
    bench.task.report_progress(now + PROGRESS_NS)
    bench.task.report_progress(now + 2 * PROGRESS_NS)
    told = DirtyProgress(t=now + PROGRESS_NS, requested=400, asked=200, dirtied=200)
    assert bench.events[1:] == [told]


def test_what_tasks_give_up_is_not_dirtied() -> None:
    bench = Bench()
    bench.task.burst(400, 1000, 0)
    bench.task.dirty(SECOND // 10)
    bench.pages.refuse = True
    bench.task.dirty(3 * SECOND // 10)
    bench.task.calm()
    assert bench.pages.state.demand == 0
    bench.task.report_progress(SECOND)
    assert bench.events == [DirtyProgress(t=SECOND, requested=400, asked=300, dirtied=100)]
    bench.pages.refuse = False
    bench.task.burst(50, 1000, SECOND)
    bench.task.dirty(2 * SECOND)
    bench.task.report_progress(2 * SECOND)
    told = DirtyProgress(t=2 * SECOND, requested=450, asked=350, dirtied=150)
    assert bench.events[1:] == [told]


def test_calm_ends_the_burst_and_what_waits_for_pages() -> None:
    bench = Bench()
    bench.task.burst(400, 100, 0)
    bench.task.calm()
    bench.task.dirty(SECOND)
    assert bench.pages.state.dirty == 0
    assert bench.pages.calmed
