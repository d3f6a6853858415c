"""The fixed-deadline detector."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.membership.detector import Clear, Detector, Finding, Miss, Suspect
from nodes.membership.detectors.fixed import FixedDeadline

I = 1000  # noqa: E741 (the interval)
MISSES = 3
GRACE = 10 * I


def watching(peer: str = "n2") -> FixedDeadline:
    detector = FixedDeadline(I, MISSES, GRACE)
    detector.watch(peer, 0)
    return detector


def heard(seq: int = 7, at_ns: int = 0) -> FixedDeadline:
    detector = watching()
    assert detector.heartbeat("n2", seq, at_ns) == []
    return detector


def test_it_is_a_detector() -> None:
    detector: Detector = watching()
    assert detector.next_deadline_ns() == GRACE


def test_the_deadline_is_one_and_a_half_intervals_after_an_arrival() -> None:
    detector = heard(seq=7, at_ns=100)
    assert detector.advance(100 + I + I // 2) == []  # by its deadline is in time
    assert detector.advance(101 + I + I // 2) == [Miss("n2", 8, 100 + I + I // 2)]


def test_every_further_interval_is_one_more_miss_and_the_last_a_suspicion() -> None:
    detector = heard(seq=7)
    assert detector.advance(10 * I) == [
        Miss("n2", 8, 1500),
        Miss("n2", 9, 2500),
        Miss("n2", 10, 3500),
        Suspect("n2", 3, 3500),
        *(Miss("n2", 11 + k, 4500 + k * I) for k in range(6)),
    ]


def test_it_is_the_same_whether_the_clock_is_looked_at_often_or_once() -> None:
    often, once = heard(), heard()
    findings = [finding for now in range(0, 10 * I, 7) for finding in often.advance(now)]
    assert findings == once.advance(10 * I - 3)


def test_an_arrival_clears_and_starts_the_count_anew() -> None:
    detector = heard(seq=1)
    detector.advance(4 * I)
    assert detector.heartbeat("n2", 5, 4 * I) == [Clear("n2", 4 * I)]
    assert detector.advance(7 * I) == [Miss("n2", 6, 5500), Miss("n2", 7, 6500)]
    assert detector.heartbeat("n2", 8, 7 * I) == []


def test_a_late_arrival_stays_a_miss() -> None:
    detector = heard(seq=1)
    assert detector.advance(1600) == [Miss("n2", 2, 1500)]
    assert detector.heartbeat("n2", 2, 1650) == []
    assert detector.advance(1650 + 1500) == []
    assert detector.advance(1650 + 1501) == [Miss("n2", 3, 1650 + 1500)]


def test_deadlines_that_passed_before_an_arrival_are_misses_even_if_nobody_looked() -> None:
    detector = heard(seq=1)
    assert detector.heartbeat("n2", 4, 3000) == [Miss("n2", 2, 1500), Miss("n2", 3, 2500)]


def test_old_and_repeated_heartbeats_do_not_count() -> None:
    detector = heard(seq=7)
    detector.heartbeat("n2", 7, 1400)
    detector.heartbeat("n2", 6, 1450)
    assert detector.advance(1501) == [Miss("n2", 8, 1500)]


def test_grace_ends_with_the_first_heartbeat() -> None:
    detector = watching()
    assert detector.advance(GRACE) == []
    assert detector.advance(GRACE + 1) == [Miss("n2", 0, GRACE)]
    detector = heard(seq=1, at_ns=I)
    assert detector.next_deadline_ns() == I + 1500


def test_a_forgotten_peer_is_not_expected_and_one_watched_anew_has_grace() -> None:
    detector = heard()
    detector.forget("n2")
    detector.forget("n9")
    assert detector.next_deadline_ns() is None
    assert detector.advance(100 * I) == []
    assert detector.heartbeat("n2", 8, 100 * I) == []
    detector.watch("n2", 100 * I)
    assert detector.advance(100 * I + GRACE) == []
    assert detector.heartbeat("n2", 1, 100 * I + GRACE) == []  # a new boot counts from one


@pytest.mark.parametrize("bad", [(0, 1, 0), (I, 0, 0), (I, 1, -1)])
def test_impossible_settings_are_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no detector with"):
        FixedDeadline(*bad)


@settings(deadline=None)
@given(st.lists(st.integers(-I // 4, I // 4), min_size=1, max_size=40), st.data())
def test_on_time_heartbeats_are_never_missed(jitter: list[int], data: st.DataObject) -> None:
    detector = watching()
    findings: list[Finding] = []
    now = 0
    for seq, off in enumerate(jitter, start=1):
        at = seq * I + off
        looks = data.draw(st.lists(st.integers(now, at), max_size=3))
        for now in [*sorted(looks), at]:
            findings += detector.advance(now)
        findings += detector.heartbeat("n2", seq, at)
    assert findings == []


@settings(deadline=None)
@given(st.integers(2, 10**9), st.integers(1, 20), st.integers(0, 10**9), st.floats(0, 3))
def test_a_silent_peer_is_suspected_within_its_bound(
    interval: int, misses: int, last: int, ticks: float
) -> None:
    """(misses + 0.5) intervals after its last heartbeat, and one look at the clock later."""
    detector = FixedDeadline(interval, misses, 10 * interval)
    detector.watch("n2", last)
    detector.heartbeat("n2", 1, last)
    bound = last + misses * interval + interval // 2
    assert not [f for f in detector.advance(bound) if isinstance(f, Suspect)]
    look = bound + 1 + int(ticks * interval)
    suspicions = [f for f in detector.advance(look) if isinstance(f, Suspect)]
    assert suspicions == [Suspect("n2", misses, bound)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3 * I)), max_size=60))
def test_the_next_deadline_is_never_late_and_each_miss_is_found_once(
    steps: list[tuple[str, int]],
) -> None:
    """Waking only at the announced deadlines finds what looking at every instant finds."""
    eager, lazy = FixedDeadline(I, MISSES, GRACE), FixedDeadline(I, MISSES, GRACE)
    found: dict[FixedDeadline, list[Finding]] = {eager: [], lazy: []}
    for peer in "abc":
        eager.watch(peer, 0)
        lazy.watch(peer, 0)
    now = 0
    for seq, (peer, wait) in enumerate(steps, start=1):
        for at in range(now, now + wait, 97):
            found[eager] += eager.advance(at)
        now += wait
        while (deadline := lazy.next_deadline_ns()) is not None and deadline < now:
            found[lazy] += lazy.advance(deadline + 1)
        for detector in (eager, lazy):
            found[detector] += detector.advance(now)
            found[detector] += detector.heartbeat(peer, seq, now)
    assert sorted(map(repr, found[eager])) == sorted(map(repr, found[lazy]))
