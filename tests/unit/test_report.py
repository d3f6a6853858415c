"""Comparisons of runs, and the tables that people read."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import compare
from crunchbed.report.scale import time_scale
from crunchbed.report.table import figure, open_console, print_comparison, print_run
from tests.unit.judged_runs import ejecting_run, good_run, result_of, scenario

# --- comparisons


def both(seed: int = 1) -> list[Result]:
    return [result_of(ejecting_run(seed), "none"), result_of(good_run(seed))]


def test_a_comparison_that_shows_the_claim_holds() -> None:
    comparison = compare(scenario(), both())
    assert comparison.exit_code == 0
    assert [one.holds for one in comparison.expectations] == [True] * 4


def test_one_seed_that_refutes_fails_the_comparison() -> None:
    comparison = compare(scenario(), [*both(1), *both(2)[1:], result_of(good_run(2), "none")])
    assert comparison.exit_code == 1
    refuted = comparison.expectations[0]
    assert (refuted.text, refuted.holds, refuted.held) == ("none.nodes_ejected >= 1", False, 1)


def test_an_invalid_run_leaves_what_depends_on_it_unknown() -> None:
    invalid = result_of(good_run().miss(500, "n2", "n3", 4))
    comparison = compare(scenario(), [both()[0], invalid])
    assert [one.holds for one in comparison.expectations] == [True, True, None, None]
    assert comparison.exit_code == 3
    assert comparison.spread("memalloc", "nodes_ejected") is None


def test_an_expectation_of_a_policy_not_compared_does_not_count() -> None:
    comparison = compare(scenario(), both()[1:])
    assert [one.runnable for one in comparison.expectations] == [False, False, True, True]
    assert comparison.exit_code == 0


def test_a_run_that_measured_nothing_is_invalid_and_the_rest_still_counts() -> None:
    ended = Result.not_measured(scenario("none"), 2, "the cluster did not come up")
    comparison = compare(scenario(), [*both(), ended, result_of(good_run(2))])
    assert comparison.exit_code == 3
    assert comparison.expectations[0].held == 1


def test_the_spread_is_median_and_range() -> None:
    runs = []
    for seed, misses in ((1, 4), (2, 1), (3, 9)):
        recording = ejecting_run(seed)
        for seq in range(misses - 1):
            recording.miss(1400, "n2", "n1", 20 + seq)
        runs.append(result_of(recording, "none"))
    spread = compare(scenario(), runs).spread("none", "heartbeats_missed")
    assert spread == (4, 1, 9)


# --- tables


def printed(print_it: Callable[..., None], *args: object) -> str:
    buffer = io.StringIO()
    print_it(open_console(buffer), *args)
    return buffer.getvalue()


def test_a_run_is_printed_by_node_as_plain_text() -> None:
    text = printed(print_run, result_of(ejecting_run(), "none"), scenario("none"))
    assert "\x1b" not in text
    assert text.isascii()
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["nodes_ejected"] == ["1", "1", "0", "0"]
    assert rows["heartbeats_missed"] == ["1", "0", "1", "0"]
    assert rows["stalled_sender"] == ["1", "0", "1", "0"]
    assert "reserve_drop" not in rows
    assert "verdict: pass" in text


def test_policies_are_printed_side_by_side() -> None:
    text = printed(print_comparison, compare(scenario(), both()), scenario())
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["nodes_ejected"] == ["1", "0"]
    assert rows["pressure_seconds"] == ["0.5200", "1", "0.52x"]
    assert rows["verdict"] == ["pass", "pass"]
    assert "holds    none.nodes_ejected >= 1  (none.nodes_ejected = 1)" in text


def test_repeats_are_printed_with_their_spread() -> None:
    runs = [*both(1), *both(2), *both(3)[1:], result_of(good_run(3), "none")]
    text = printed(print_comparison, compare(scenario(), runs), scenario())
    row = next(line for line in text.splitlines() if line.startswith("nodes_ejected"))
    assert row.split() == ["nodes_ejected", "1", "[0..1]", "0"]
    assert "fails    none.nodes_ejected >= 1  (2/3)" in text
    assert "none, seed 3, fail: expected none.nodes_ejected >= 1" in text
    assert "pass 2/3, fail 1/3" in text


def test_of_a_large_cluster_only_nodes_with_something_to_tell_are_printed() -> None:
    large = scenario().with_overrides({"cluster.nodes": 32})
    text = printed(print_run, judge(good_run().history(), large), large)
    assert "31 more nodes" in text
    assert next(line for line in text.splitlines() if "n1" in line).split() == ["total", "n1"]


def test_the_time_scale_is_that_of_corosyncs_default_token() -> None:
    text = time_scale(scenario(), 2.0)
    assert "1:7.3" in text
    assert "0.5 s without heartbeats here" in text
    assert "3.65 s by corosync" in text
    assert "2 s of pressure would be 14.6 s" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (12, "12"),
        (0.0, "0"),
        (0.12341, "0.1234"),
        (0.00005, "0.000050"),
        (12.341, "12.34"),
    ],
)
def test_figures_are_short(value: float | None, text: str) -> None:
    assert figure(value) == text
