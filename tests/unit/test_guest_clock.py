"""The guest's clock: the true offset is always within the bound that is told."""

from __future__ import annotations

import random

import pytest

from nodes.guest.guest_clock import DRIFT_PPM, GuestClock

MS = 1_000_000
OFFSET = 7_200_000_000_000


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("drift_ppm", [-DRIFT_PPM, 0, DRIFT_PPM])
def test_the_offset_is_right_within_its_bound(seed: int, drift_ppm: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    clock, host, bounds = GuestClock(), OFFSET, []
    for _ in range(600):
        host += 100 * MS
        asked = host
        host += chance.randrange(50_000, 5 * MS)
        # The host's clock advances faster by the drift, so that the offset grows.
        offset = OFFSET + (host - OFFSET) * drift_ppm // 1_000_000
        guest = host - offset
        host += chance.randrange(50_000, 5 * MS)
        clock.answered(asked, guest, host)
        truth = OFFSET + (host - OFFSET) * drift_ppm // 1_000_000
        assert abs(clock.offset_ns - truth) <= clock.bound_ns + 10_000  # drift within the answer
        bounds.append(clock.bound_ns)
    assert max(bounds[50:]) < 4 * MS  # of round trips of up to 10 ms


def test_the_shortest_round_trip_decides() -> None:
    clock = GuestClock()
    assert not clock.known
    clock.answered(OFFSET, 5 * MS, OFFSET + 40 * MS)
    assert clock.known
    assert clock.bound_ns == 20 * MS
    clock.answered(OFFSET + 100 * MS, 100 * MS, OFFSET + 101 * MS)
    assert clock.bound_ns == MS
    clock.answered(OFFSET + 200 * MS, 205 * MS, OFFSET + 230 * MS)
    assert clock.bound_ns == MS + 129_000 * DRIFT_PPM // 1000
    assert clock.offset_ns == OFFSET + MS


def test_the_offset_stays_what_it_is_as_long_as_it_is_possible() -> None:
    clock = GuestClock()
    clock.answered(OFFSET, 0, OFFSET + 2 * MS)
    assert clock.offset_ns == OFFSET + MS
    clock.answered(OFFSET + 100 * MS, 100 * MS, OFFSET + 101_500_000)
    assert clock.offset_ns == OFFSET + MS
    clock.answered(OFFSET + 200 * MS, 200 * MS, OFFSET + 200_500_000)
    assert clock.offset_ns == OFFSET + MS // 2


def test_a_clock_that_jumps_is_believed_at_once() -> None:
    clock = GuestClock()
    clock.answered(OFFSET, 0, OFFSET + MS)
    clock.answered(OFFSET + 100 * MS, 5000 * MS, OFFSET + 102 * MS)
    assert clock.offset_ns == OFFSET - 4899 * MS
    assert clock.bound_ns == MS


def test_times_go_there_and_back() -> None:
    clock = GuestClock()
    clock.answered(OFFSET, 0, OFFSET + MS)
    assert clock.guest_ns(clock.host_ns(123)) == 123
