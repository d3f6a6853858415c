"""Figures of the phases of a run, and what is steady before a fault and after it."""

from __future__ import annotations

import pytest

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.checks.steady import phase_figures
from crunchbed.scenario.loader import load
from reserve_agent.errors import BadInput
from tests.unit.judged_runs import good_run, scenario
from tests.unit.recording import Recording


def recovered_run() -> Recording:
    """A node under pressure from 1.5 s on, ejected, and whole at 6 s; measured until 10 s."""
    recording = good_run().phases(after=6000)
    for node in ("n1", "n2", "n3"):
        for at in range(110, 1000, 10):
            recording.ack(at, node, at - 5)
        for at in range(6010, 9990, 20):
            recording.ack(at, node, at - 12)
    recording.sent(500, "n1", 2).sent(6500, "n1", 40)
    recording.miss(1600, "n2", "n1", 14).miss(7000, "n2", "n1", 50)
    recording.add(1700, "write.error", "n1").add(6500, "write.error", "n3")
    return recording.pressure(3500, 6400, "n1")


def judged(*steady: str) -> Result:
    changes = {"expect": [], "phases.after": "4s", "steady": list(steady)}
    recording = recovered_run()
    # What the testbed itself misses would make the run invalid.
    recording.events = [e for e in recording.events if e.kind != "heartbeat.miss"]
    return judge(recording.history(), scenario().with_overrides(changes))


def test_each_phase_has_its_own_figures() -> None:
    phases = phase_figures(recovered_run().history(), scenario())
    before, during, after = phases["before"], phases["during"], phases["after"]
    assert (before.phase_seconds, during.phase_seconds, after.phase_seconds) == (0.9, 3.0, 4.0)
    assert [one.heartbeats_missed for one in phases.values()] == [0, 1, 1]
    assert [one.io_errors for one in phases.values()] == [0, 1, 1]
    assert [one.heartbeats_sent for one in phases.values()] == [2, 0, 2]
    assert (before.writes_acknowledged, after.writes_acknowledged) == (267, 597)
    assert before.writes_per_second == 267 / 0.9
    assert (before.io_p99_seconds, after.io_p99_seconds) == (0.005, 0.012)


def test_what_reaches_into_a_phase_counts_with_the_part_inside() -> None:
    phases = phase_figures(recovered_run().history(), scenario())
    # 1.28 to 2.28 s, then 3.5 to 6.4 s; inject is 1 to 4 s, after is 6 to 10 s.
    assert phases["during"].pressure_seconds == pytest.approx(1.5)
    assert phases["during"].pressure_episodes == 2
    assert phases["after"].pressure_longest_seconds == pytest.approx(0.4)
    assert phases["before"].pressure_seconds == 0


def test_a_stall_is_told_of_each_phase_that_it_lasted_in() -> None:
    recording = good_run().phases(after=6000).ack(7000, "n1", 2500)
    phases = phase_figures(recording.history(), scenario())
    assert phases["after"].io_longest_stall_seconds == 1.0
    assert phases["before"].io_longest_stall_seconds is None


def test_a_run_without_the_phase_after_has_no_figures_of_it() -> None:
    assert set(phase_figures(good_run().history(), scenario())) == {"before", "during"}


def test_a_cluster_that_is_steady_before_and_after_passes() -> None:
    result = judged("io_p99_seconds <= 12ms", "nodes_ejected == 0")
    assert (result.verdict, result.reasons) == ("pass", ())
    assert [one.text for one in result.expectations] == [
        "before: io_p99_seconds <= 12ms",
        "before: nodes_ejected == 0",
        "after: io_p99_seconds <= 12ms",
        "after: nodes_ejected == 0",
    ]


def test_one_that_was_not_steady_before_says_nothing() -> None:
    result = judged("io_p99_seconds < 5ms")
    assert result.verdict == "invalid"
    assert result.reasons[0] == (
        "not steady before the fault: expected before: io_p99_seconds < 5ms, "
        "got memalloc.before.io_p99_seconds = 0.005"
    )


def test_one_that_is_not_steady_afterwards_fails() -> None:
    result = judged("io_p99_seconds < 6ms")
    assert (result.verdict, result.reasons) == (
        "fail",
        ("expected after: io_p99_seconds < 6ms, got memalloc.after.io_p99_seconds = 0.012",),
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"steady": ["io_errors == 0"]},
            "phases.after: expected a time such as 2s, in which steady is measured, got 0s",
        ),
        (
            {"expect": ["memalloc.after.io_errors == 0"]},
            "phases.after: expected a time such as 2s, in which what is expected of after is "
            "measured, got 0s",
        ),
        (
            {"phases.after": "2s", "steady": ["none.io_errors == 0"]},
            "steady[0]: expected a comparison of a phase's figures such as io_errors == 0, "
            "got 'none.io_errors == 0', which names the policy none",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, object], line: str) -> None:
    with pytest.raises(BadInput) as caught:
        load("control").with_overrides(changes)
    assert line in str(caught.value)
