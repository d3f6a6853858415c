"""The phi accrual detector."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.membership.detector import Clear, Finding, Miss, Suspect
from nodes.membership.detectors.phi import Intervals, PhiAccrual, deviations_at

I = 1_000_000  # noqa: E741 (the interval)
GRACE = 10 * I


def detector(threshold: float = 8.0, pause: int = 3 * I, size: int = 1000) -> PhiAccrual:
    """Akka's defaults at an interval of I."""
    made = PhiAccrual(
        I,
        GRACE,
        threshold=threshold,
        max_sample_size=size,
        min_std_deviation_ns=I // 10,
        acceptable_heartbeat_pause_ns=pause,
        first_heartbeat_estimate_ns=I,
    )
    made.watch("n2", 0)
    return made


def akka_phi(y: float) -> float:
    """Akka's function of the number of deviations, as its source has it."""
    e = math.exp(-y * (1.5976 + 0.070566 * y * y))
    return -math.log10(e / (1 + e)) if y > 0 else -math.log10(1 - 1 / (1 + e))


@given(st.floats(0.01, 15))
def test_a_threshold_is_reached_where_akkas_phi_reaches_it(threshold: float) -> None:
    assert akka_phi(deviations_at(threshold)) == pytest.approx(threshold, rel=1e-6)


def test_thresholds_that_a_float_cannot_hold_have_an_answer_too() -> None:
    assert deviations_at(300) > deviations_at(299) > deviations_at(8) == pytest.approx(5.2, abs=0.1)


def test_a_regular_peer_is_suspected_after_interval_pause_and_tail() -> None:
    phi = detector()
    for seq in range(1, 1200):
        assert phi.heartbeat("n2", seq, seq * I) == []
    silence = phi.silence_ns("n2")
    assert silence == pytest.approx(I + 3 * I + deviations_at(8) * I / 10, rel=0.001)
    last = 1199 * I
    assert not [f for f in phi.advance(last + silence) if isinstance(f, Suspect)]
    found = phi.advance(last + silence + 1)
    assert found == [Suspect("n2", 4, last + silence)]
    assert phi.heartbeat("n2", 1204, last + 5 * I)[-1] == Clear("n2", last + 5 * I)


def test_an_irregular_peer_is_given_more_time() -> None:
    steady, jittery = detector(), detector()
    for seq in range(1, 101):
        steady.heartbeat("n2", seq, seq * I)
        jittery.heartbeat("n2", seq, seq * I + (seq % 2) * I // 3)
    assert jittery.silence_ns("n2") > steady.silence_ns("n2") + I // 2


def test_silence_that_was_a_suspicion_is_no_sample() -> None:
    phi = detector()
    for seq in range(1, 50):
        phi.heartbeat("n2", seq, seq * I)
    before = phi.silence_ns("n2")
    phi.heartbeat("n2", 100, 100 * I)
    assert phi.silence_ns("n2") == before


def test_misses_are_counted_as_of_any_stream() -> None:
    phi = detector()
    phi.heartbeat("n2", 7, 0)
    assert phi.advance(int(2.6 * I)) == [Miss("n2", 8, I * 3 // 2), Miss("n2", 9, I * 5 // 2)]


def test_a_low_threshold_may_suspect_before_there_is_a_miss() -> None:
    phi = detector(threshold=1, pause=0)
    for seq in range(1, 100):
        phi.heartbeat("n2", seq, seq * I)
    found = phi.advance(100 * I + I // 3)
    assert [type(finding) for finding in found] == [Suspect]


def test_a_peer_that_is_never_heard_is_suspected_after_its_grace() -> None:
    phi = detector()
    found = phi.advance(GRACE + 10 * I)
    assert found[0] == Miss("n2", 0, GRACE)
    suspect = next(f for f in found if isinstance(f, Suspect))
    assert GRACE < suspect.at_ns < GRACE + 4 * I


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=40), st.integers(1, 10))
def test_mean_and_deviation_are_those_of_the_last(intervals: list[int], size: int) -> None:
    kept = Intervals(size, ())
    for interval in intervals:
        kept.add(interval)
    last = intervals[-size:]
    assert kept.mean_ns == pytest.approx(statistics.fmean(last))
    assert kept.deviation_ns == pytest.approx(statistics.pstdev(last), abs=1)


@settings(deadline=None)
@given(st.lists(st.integers(-I // 4, I // 4), min_size=1, max_size=60))
def test_a_peer_on_time_is_neither_missed_nor_suspected(jitter: list[int]) -> None:
    phi = detector()
    findings: list[Finding] = []
    for seq, off in enumerate(jitter, start=1):
        findings += phi.advance(seq * I + off)
        findings += phi.heartbeat("n2", seq, seq * I + off)
    assert findings == []


@settings(deadline=None)
@given(st.lists(st.integers(-I // 4, I // 4), min_size=1, max_size=60), st.floats(0.5, 12))
def test_a_silent_peer_is_suspected_within_its_bound(jitter: list[int], threshold: float) -> None:
    """Mean + pause + as many deviations as the threshold stands for, and not a moment before."""
    phi = detector(threshold=threshold)
    for seq, off in enumerate(jitter, start=1):
        phi.heartbeat("n2", seq, seq * I + off)
    last = len(jitter) * I + jitter[-1]
    bound = last + phi.silence_ns("n2")
    assert bound <= last + int(1.5 * I) + 3 * I + int(deviations_at(threshold) * I / 2) + 1
    while (deadline := phi.next_deadline_ns()) is not None and deadline < bound:
        assert not [f for f in phi.advance(deadline + 1) if isinstance(f, Suspect)]
    assert [f.at_ns for f in phi.advance(bound + 1) if isinstance(f, Suspect)] == [bound]


@pytest.mark.parametrize("bad", [{"threshold": 0.0}, {"threshold": -1.0}, {"size": 0}])
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no detector with"):
        detector(**bad)  # type: ignore[arg-type]
