"""The verdict on a run, and its result.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from reserve_agent.contract.events.run import PhaseBegan
from reserve_agent.errors import BadInput
from tests.unit.judged_runs import ejecting_run, good_run, result_of, scenario
from tests.unit.recording import MS, Recording

Change = Callable[[Recording], object]


def test_a_run_that_went_as_claimed_passes() -> None:
    result = result_of(good_run())
    assert (result.verdict, result.reasons, result.exit_code) == ("pass", (), 0)
    assert (result.seed, result.switch, result.versions) == (1, "linux-bridge", {"kernel": "6.1"})
    assert result.flags == ("block-io", "heartbeat")
    totals = result.totals
    assert (totals.heartbeats_sent, totals.heartbeats_missed) == (6, 0)
    assert (totals.writes_acknowledged, totals.writes_lost) == (6, 0)
    assert (totals.io_p50_seconds, totals.io_p99_seconds) == (0.01, 0.02)
    assert (totals.pressure_episodes, totals.pressure_seconds) == (1, 1.0)
    assert (totals.reserve_pages, totals.reserve_low_water_pages) == (512, 300)
    assert result.nodes["n1"].pressure_longest_seconds == 1.0
    assert result.nodes["n2"].pressure_episodes == 0
    assert [one.text for one in result.expectations if one.holds] == [
        "memalloc.nodes_ejected == 0",
        "writes_lost == 0",
    ]


def test_a_run_of_none_is_judged_by_what_is_expected_of_none() -> None:
    result = result_of(ejecting_run(), "none")
    assert result.verdict == "pass"
    assert (result.totals.nodes_ejected, result.totals.false_ejections) == (1, 1)
    assert result.nodes["n1"].nodes_ejected == 1
    assert result.totals.misses_by_cause["stalled_sender"] == 1
    assert result.nodes["n2"].heartbeats_missed == 1
    assert result.totals.pressure_seconds == 0.52  # cut off by the fence


def test_a_node_that_is_ejected_alive_was_healthy_if_its_memory_was_never_short() -> None:
    recording = ejecting_run()
    assert result_of(recording, "none").totals.healthy_ejections == 0
    recording.fence(5000, "n2", view=9, observers=("n3",))
    result = result_of(recording, "none")
    assert (result.totals.false_ejections, result.totals.healthy_ejections) == (2, 1)
    assert result.nodes["n2"].healthy_ejections == 1


def test_what_a_node_was_short_of_before_its_boot_does_not_count() -> None:
    recording = ejecting_run()
    recording.rejoin(3800, "n1", view=3, observers=("n2", "n3"))
    recording.fence(9000, "n1", view=9, observers=("n2", "n3"))
    assert result_of(recording, "none").totals.healthy_ejections == 1


def test_an_expectation_that_fails_fails_the_run() -> None:
    result = result_of(ejecting_run())
    assert (result.verdict, result.exit_code) == ("fail", 1)
    assert result.reasons == (
        "expected memalloc.nodes_ejected == 0, got memalloc.nodes_ejected = 1",
    )


def test_a_lost_write_fails_a_run_whatever_is_expected() -> None:
    recording = good_run()
    recording.add(10_200, "verify.result", "storage", checked=9, ok=8, lost=1, corrupt=0)
    quiet = scenario().with_overrides({"expect": []})
    result = judge(recording.history(), quiet)
    assert (result.verdict, result.reasons) == ("fail", ("1 acknowledged blocks were lost",))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda r: r.miss(500, "n2", "n3", 4),
            "control phase: 1 heartbeats missed without a fault (by n2)",
        ),
        (
            lambda r: r.fence(500, "n3", view=2, observers=("n1",)),
            "control phase: n3 ejected without a fault",
        ),
        (
            lambda r: r.add(500, "heartbeat.late", "n2", late_ns=101 * MS),
            "control phase: the heartbeat daemon of n2 was 0.101 s late by its own clock",
        ),
        (
            lambda r: r.add(3000, "hook.events_lost", "n1", count=7),
            "7 events of the hooks of n1 were lost: pressure and causes are unknown",
        ),
        (
            lambda r: r.events.__setitem__(
                slice(None), [e for e in r.events if not e.kind.startswith("pressure")]
            ),
            "crunch off target: n1 never came under memory pressure",
        ),
    ],
)
def test_a_run_that_says_nothing_about_the_claim_is_invalid(change: Change, reason: str) -> None:
    recording = good_run()
    change(recording)
    result = result_of(recording)
    assert (result.verdict, result.exit_code) == ("invalid", 3)
    assert result.reasons[0] == reason


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.miss(1500, "n2", "n3", 4),
        lambda r: r.add(500, "heartbeat.late", "n2", late_ns=99 * MS),
        lambda r: r.add(1500, "heartbeat.late", "n2", late_ns=399 * MS),
    ],
)
def test_small_lateness_and_what_happens_under_the_fault_leave_a_run_valid(change: Change) -> None:
    recording = good_run()
    change(recording)
    assert result_of(recording).valid


def test_an_incomplete_run_is_unknown_whatever_else_is_wrong() -> None:
    recording = good_run().miss(500, "n2", "n3", 4)
    recording.events = [
        event
        for event in recording.events
        if not isinstance(event, PhaseBegan) or event.name != "collect"
    ]
    result = result_of(recording)
    assert (result.verdict, result.exit_code) == ("unknown", 3)
    assert result.reasons[0] == "the run is not complete: no phase collect"
    assert len(result.reasons) == 2


def test_an_empty_history_is_unknown() -> None:
    result = result_of(Recording())
    assert result.verdict == "unknown"
    assert result.totals.io_p99_seconds is None


def test_writes_that_nobody_verified_leave_the_run_unknown() -> None:
    recording = good_run()
    recording.events = [e for e in recording.events if e.kind != "verify.result"]
    result = result_of(recording)
    assert result.verdict == "unknown"
    assert result.reasons[0] == "the acknowledged writes were not verified"
    assert result.reasons[1].startswith("not known whether writes_lost == 0")


def test_a_result_is_read_back_equal_and_has_the_public_names(tmp_path: Path) -> None:
    result = result_of(ejecting_run())
    result.write(tmp_path / "result.json")
    assert Result.read(tmp_path / "result.json") == result
    record = orjson.loads((tmp_path / "result.json").read_bytes())
    top = (
        "scenario policy flags seed backend verdict reasons totals nodes duration_seconds versions"
    )
    assert set(top.split()) | {"crunch_requested", "crunch_achieved"} <= record.keys()
    figures = (
        "heartbeats_sent heartbeats_missed misses_by_cause nodes_ejected false_ejections failovers "
        "quorum_lost_seconds "
        "true_ejections healthy_ejections detection_delay_seconds flaps time_to_recover_seconds "
        "failover_seconds failover_longest_seconds "
        "writes_acknowledged writes_lost io_errors io_p50_seconds io_p99_seconds "
        "io_longest_stall_seconds pressure_episodes pressure_seconds pressure_longest_seconds "
        "path_restore_seconds rings_restore_seconds "
        "reserve_pages reserve_low_water_pages memalloc_failures packets "
        "switch_packets switch_drops shed_episodes shed_too_late "
        "reaction_p50_seconds reaction_p99_seconds testbed_late_seconds phases"
    )
    assert set(figures.split()) == record["totals"].keys() == record["nodes"]["n1"].keys()


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]"])
def test_a_damaged_result_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"result\.json: expected a result"):
        Result.read(tmp_path / "result.json")


def test_a_check_that_fails_leaves_the_run_unknown_and_says_which() -> None:
    recording = good_run().add(3000, "pressure.end", "n1", since="soon", duration_ns=1)
    told: list[Exception] = []
    result = judge(recording.history(), scenario(), told.append)
    assert (result.verdict, result.exit_code, result.seed) == ("unknown", 3, 1)
    assert result.reasons[0].startswith("a check failed (")
    assert [type(error) for error in told] == [TypeError]


def test_a_run_that_says_it_is_numbered_and_is_not_is_damaged_not_old() -> None:
    recording = good_run()
    recording.add(2, "run.info", seed=1, format=2)
    result = result_of(recording)
    assert result.verdict == "unknown"
    assert "the history of n1 is not whole: it was not closed" in result.reasons
