"""The loop of a run: in real time, and the one of the tests that waits for nothing."""

from __future__ import annotations

import math
import selectors
import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest

from crunchbed.run.loop import SelectorLoop
from crunchbed.run.world import Loop
from tests.unit.heap_loop import HeapLoop

MS = 1_000_000


@pytest.fixture(params=[SelectorLoop, HeapLoop])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = request.param()
    yield made
    if isinstance(made, SelectorLoop):
        made.close()


def test_calls_come_in_the_order_of_their_times(loop: Loop) -> None:
    called: list[tuple[str, int]] = []
    now = loop.now_ns()
    for name, ms in (("third", 30), ("first", -5), ("second", 10), ("last", 30)):
        loop.at(now + ms * MS, lambda name=name: called.append((name, loop.now_ns())))  # type: ignore[misc]
    assert not loop.run_until(lambda: False, 0.06)
    assert [name for name, _ in called] == ["first", "second", "third", "last"]
    assert all(t >= now + ms * MS for (_, t), ms in zip(called, (-5, 10, 30, 30), strict=True))
    assert loop.now_ns() >= now + 60 * MS


def test_it_ends_when_the_condition_holds_and_asks_it_first(loop: Loop) -> None:
    called: list[int] = []
    loop.at(loop.now_ns(), lambda: called.append(1))
    assert loop.run_until(lambda: True, 60)
    assert called == [], "nothing was called"
    assert loop.run_until(lambda: bool(called), math.inf)


def test_a_call_may_ask_for_the_next_one_and_run_the_loop_itself(loop: Loop) -> None:
    beats: list[int] = []

    def beat() -> None:
        beats.append(loop.now_ns())
        loop.at(loop.now_ns() + 5 * MS, beat)
        if len(beats) == 2:
            assert loop.run_until(lambda: len(beats) == 4, 1)

    loop.at(loop.now_ns(), beat)
    assert loop.run_until(lambda: len(beats) >= 5, 1)
    assert all(later - sooner >= 5 * MS for sooner, later in pairwise(beats))


def test_sockets_that_are_ready_are_served_at_once() -> None:
    loop = SelectorLoop()
    one, other = socket.socketpair()
    heard: list[bytes] = []
    loop.selector.register(one, selectors.EVENT_READ, lambda: heard.append(one.recv(9)))
    other.send(b"hello")
    loop.step(0)
    assert heard == [b"hello"]
    for each in (one, other):
        each.close()
    loop.close()
