"""The parts of the simulation, each alone: time, dice, links."""

from __future__ import annotations

import pytest

from crunchbed.backends.simulation import loop as loop_module
from crunchbed.backends.simulation.links import BURST_BYTES, Bucket
from crunchbed.backends.simulation.loop import (
    START_NS,
    ClockStandsStill,
    SimulatedLoop,
    Streams,
    Timer,
)

MS = 1_000_000
SECOND = 1_000_000_000

# --- the loop


def test_calls_that_are_due_at_one_moment_come_in_the_order_in_which_they_were_asked_for() -> None:
    loop, made = SimulatedLoop(), []
    for name in "bac":
        loop.at(START_NS + 5, lambda name=name: made.append((loop.now_ns(), name)))  # type: ignore[misc]
    loop.at(START_NS + 4, lambda: made.append((loop.now_ns(), "first")))
    assert loop.run_until(lambda: len(made) == 4, 1)
    assert made == [(START_NS + 4, "first"), *((START_NS + 5, name) for name in "bac")]


def test_a_call_may_ask_for_another_one_now_and_for_one_in_the_past() -> None:
    loop, made = SimulatedLoop(), []
    loop.at(START_NS + 10, lambda: loop.at(START_NS, lambda: made.append(loop.now_ns())))
    loop.run_until(lambda: False, 0.01)
    assert made == [START_NS + 10], "time does not go back"


def test_a_wait_without_a_call_takes_its_time_and_no_more() -> None:
    loop = SimulatedLoop()
    assert not loop.run_until(lambda: False, 3600)
    assert loop.now_ns() == START_NS + 3600 * SECOND
    assert loop.run_until(lambda: True, 10)
    assert loop.now_ns() == START_NS + 3600 * SECOND


def test_a_condition_is_asked_every_two_milliseconds() -> None:
    loop = SimulatedLoop()
    assert loop.run_until(lambda: loop.now_ns() > START_NS + 5 * MS, 1)
    assert loop.now_ns() == START_NS + 6 * MS


def test_calls_that_never_end_at_one_instant_are_an_error_that_names_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_module, "MOST_AT_ONCE", 3000)
    loop, calls = SimulatedLoop(), 0

    def again() -> None:
        nonlocal calls
        calls += 1
        timer.set(loop.now_ns())

    timer = Timer(loop, again)
    timer.set(START_NS + 1_500_000_000)
    with pytest.raises(ClockStandsStill) as raised:
        loop.run_until(lambda: False, 2)
    assert str(raised.value).startswith("the clock stands still at 1.500000000 s: 3,001 calls")
    assert str(raised.value).endswith(f"the latest 1001 of {again.__qualname__}")
    assert calls == 3001


def test_many_calls_at_one_instant_are_none_and_each_instant_counts_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_module, "MOST_AT_ONCE", 3000)
    loop, made = SimulatedLoop(), []
    for ns in (5, 6):
        for _ in range(3000):
            loop.at(START_NS + ns, lambda: made.append(1))
    assert not loop.run_until(lambda: False, 0.01)
    loop.at(loop.now_ns(), lambda: made.append(1))
    assert not loop.run_until(lambda: False, 0.01)
    assert len(made) == 6001


@pytest.mark.parametrize(
    ("times", "expected"),
    [((5,), [5]), ((5, 9), [9]), ((9, 5), [5]), ((5, 9, 5), [5]), ((5, 5), [5])],
)
def test_the_last_time_that_a_timer_is_set_to_counts(
    times: tuple[int, ...], expected: list[int]
) -> None:
    loop, made = SimulatedLoop(), []
    timer = Timer(loop, lambda: made.append(loop.now_ns() - START_NS))
    for ns in times:
        timer.set(START_NS + ns)
    loop.run_until(lambda: False, 0.01)
    assert (made, timer.is_set) == (expected, False)


def test_a_timer_that_is_cancelled_rings_not_and_may_be_set_anew() -> None:
    loop, made = SimulatedLoop(), []
    timer = Timer(loop, lambda: made.append(loop.now_ns() - START_NS))
    timer.set(START_NS + 5)
    timer.cancel()
    loop.run_until(lambda: False, 0.01)
    assert made == []
    timer.set(loop.now_ns() + 7)
    loop.run_until(lambda: False, 0.01)
    assert made == [10 * MS + 7]


def test_a_stream_depends_on_the_seed_and_its_name_alone() -> None:
    one, other = Streams(1), Streams(1)
    other.fork("something else").random()
    again = other.fork("losses of n1")
    assert one.fork("losses of n1").random() == again.random()
    assert one.fork("losses of n2").random() != one.fork("losses of n1").random()
    assert Streams(2).fork("losses of n1").random() != one.fork("losses of n1").random()


# --- links


def test_a_bucket_lets_a_burst_pass_and_then_its_rate() -> None:
    bucket, now = Bucket(8_000_000, 1 << 20), SECOND  # a byte each microsecond
    assert bucket.take(now, BURST_BYTES, 1) == (now, now)
    assert bucket.take(now, 1000, 2) == (now + MS, now + 2 * MS)
    later = now + SECOND
    assert bucket.take(later, BURST_BYTES, 1) == (later, later), "the tokens are back"


def test_a_queue_takes_no_more_frames_than_it_has_room_for() -> None:
    bucket, now = Bucket(8_000_000, 10_000), SECOND
    bucket.take(now, BURST_BYTES, 1)
    assert bucket.room(now, 1000) == 10
    bucket.take(now, 1000, 8)
    assert bucket.room(now, 1000) == 2
    assert bucket.room(now + 3 * MS, 1000) == 5
