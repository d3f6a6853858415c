"""Intervals, differences paired by seed, effect sizes, and what is worse than a baseline."""

from __future__ import annotations

import statistics

import pytest

from crunchbed.checks.figures import NAMES, PHASE_NAMES, spec_of
from crunchbed.experiments.stats.interval import LEAST, estimate
from crunchbed.experiments.stats.paired import differences, pair, rank_biserial, statistics_of
from crunchbed.experiments.stats.worse import FAILED, margin, regressions
from tests.unit.recorded_figures import Change, changed, dice, drawn, recorded

# --- intervals


def test_an_interval_holds_the_middle_and_is_the_same_every_time() -> None:
    values = [0.1, 0.4, 0.2, 0.9, 0.3, 0.25, 0.6]
    found = estimate(values)
    assert (found.n, found.value) == (7, 0.3)
    assert found.low is not None
    assert found.high is not None
    assert 0.1 <= found.low < 0.3 < found.high <= 0.9
    assert estimate(values) == found


def test_few_values_have_no_interval_and_equal_ones_a_point() -> None:
    few = estimate([1.0, 5.0, 3.0, 2.0])
    assert (few.value, few.low, few.high) == (2.5, None, None)
    equal = estimate([0.0] * LEAST)
    assert (equal.value, equal.low, equal.high) == (0, 0, 0)


def test_the_interval_covers_the_median_about_as_often_as_it_says() -> None:
    rng = dice(7)
    held = 0
    for _ in range(100):
        found = estimate([rng.gauss(10, 1) for _ in range(11)])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 10 <= found.high
    assert 88 <= held <= 100


def test_a_mean_sees_what_a_median_does_not() -> None:
    rare = [0.0, 0.0, 0.0, 1.0, 1.0]
    assert estimate(rare).value == 0
    mean = estimate(rare, centre="mean")
    assert mean.value == pytest.approx(0.4)
    assert (mean.low, mean.high) == (0, pytest.approx(0.8))


def test_a_higher_level_is_a_wider_interval() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    narrow, wide = estimate(values, level=0.8), estimate(values, level=0.999)
    assert wide.low is not None
    assert wide.high is not None
    assert narrow.low is not None
    assert narrow.high is not None
    assert wide.low < narrow.low < narrow.high < wide.high


# --- pairs


def test_pairs_are_made_by_seed_and_not_by_place() -> None:
    assert differences({1: 5.0, 2: 1.0, 3: 2.0}, {3: 2.5, 1: 4.0, 9: 7.0}) == [-1.0, 0.5]
    assert pair("x", ("a", {1: 1.0}), ("b", {2: 1.0})) is None


def test_pairing_finds_what_the_spread_over_seeds_hides() -> None:
    first = {seed: float(10 * seed) for seed in range(1, 9)}
    second = {seed: value + 1 for seed, value in first.items()}
    found = pair("io_p99_seconds", ("none", first), ("memalloc", second))
    assert found is not None
    assert found.sure
    assert (found.difference.low, found.difference.high) == (1, 1)
    assert found.effect == 1


@pytest.mark.parametrize(
    ("values", "effect"),
    [
        ([1, 2, 3], 1),
        ([-1, -2, -3], -1),
        ([0, 0], 0),
        ([3, -1, -2], 0),
        ([4, 2, 3, -1], 0.8),
        ([1, -1, 0], 0),
    ],
)
def test_the_effect_is_the_simple_difference_of_ranks(values: list[float], effect: float) -> None:
    assert rank_biserial(values) == pytest.approx(effect)


def test_a_comparison_tells_policies_apart() -> None:
    found = statistics_of([*recorded("none"), *recorded("memalloc")])
    assert found.figures["none"]["nodes_ejected"].low == 1
    assert found.figures["memalloc"]["heartbeats_missed"].high == 0
    assert "failover_seconds" not in found.figures["none"], "what was never measured"
    by_figure = {one.figure: one for one in found.differences}
    missed = by_figure["heartbeats_missed"]
    assert (missed.first, missed.second, missed.sure, missed.effect) == (
        "none",
        "memalloc",
        True,
        -1,
    )
    assert not by_figure["writes_lost"].sure


# --- worse than a baseline


def worse(change: Change, policy: str = "memalloc", count: int = 5) -> list[str]:
    rng = dice(3)
    found = regressions(
        drawn(policy, count, rng), changed(drawn(policy, count, rng), change), tolerance=0.25
    )
    return [one.figure for one in found if one.verdict == "worse"]


@pytest.mark.parametrize("policy", ["none", "memalloc"])
@pytest.mark.parametrize("count", [5, 10])
def test_no_change_is_no_regression_in_any_of_many_tries(policy: str, count: int) -> None:
    rng = dice(count)
    for _ in range(6):
        found = regressions(drawn(policy, count, rng), drawn(policy, count, rng), tolerance=0.25)
        assert [one.figure for one in found if one.verdict == "worse"] == []


def test_a_policy_that_no_longer_saves_its_node_is_told() -> None:
    """What `none` measures, as what `memalloc` has become."""
    now = [
        run.model_copy(update={"policy": "memalloc", "seed": (run.seed or 0), "verdict": "fail"})
        for run in recorded("none")
    ]
    found = regressions(recorded("memalloc"), now, tolerance=0.25)
    told = {one.figure for one in found if one.verdict == "worse"}
    assert {FAILED, "nodes_ejected", "heartbeats_missed", "io_longest_stall_seconds"} <= told


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        (lambda t: {"io_p99_seconds": t.io_p99_seconds * 3}, "io_p99_seconds"),
        (lambda t: {"pressure_seconds": t.pressure_seconds * 1.5}, "pressure_seconds"),
        (lambda _: {"reserve_low_water_pages": 20}, "reserve_low_water_pages"),
        (lambda _: {"io_errors": 3}, "io_errors"),
    ],
)
def test_a_figure_that_is_clearly_worse_is_told_alone(change: Change, figure: str) -> None:
    assert worse(change) == [figure]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: {"io_p99_seconds": t.io_p99_seconds * 1.1},
        lambda t: {"io_longest_stall_seconds": t.io_longest_stall_seconds + 0.008},
        lambda t: {"io_p99_seconds": t.io_p99_seconds / 3},
        lambda _: {"reserve_low_water_pages": 250},
        lambda t: {"writes_acknowledged": t.writes_acknowledged // 2},
    ],
)
def test_little_and_better_and_neither_is_not(change: Change) -> None:
    assert worse(change) == []


def test_one_lost_write_is_a_regression() -> None:
    rng = dice(1)
    before, now = drawn("memalloc", 10, rng), drawn("memalloc", 10, rng)
    now[3] = changed([now[3]], lambda _: {"writes_lost": 1})[0]
    told = [one for one in regressions(before, now, tolerance=0.25) if one.verdict == "worse"]
    assert [one.figure for one in told] == ["writes_lost"]


def test_an_ejection_in_one_run_of_ten_is_noise_and_in_five_is_not() -> None:
    rng = dice(1)
    before = drawn("memalloc", 10, rng)

    def told(ejected: int) -> list[str]:
        now = drawn("memalloc", 10, dice(2))
        now = changed(now[:ejected], lambda _: {"nodes_ejected": 1}) + now[ejected:]
        found = regressions(before, now, tolerance=0.25)
        return [one.figure for one in found if one.verdict == "worse"]

    assert told(1) == []
    assert told(5) == ["nodes_ejected"]


def test_runs_that_say_nothing_are_left_out_and_too_few_pairs_are_not_compared() -> None:
    before = recorded("memalloc")
    now = [recorded("memalloc")[0].model_copy(update={"verdict": "invalid"}), *before[1:]]
    assert regressions(before, now, tolerance=0.25) == []


def test_a_figure_that_the_baseline_did_not_know_is_not_compared() -> None:
    before = recorded("memalloc")
    for run in before:
        run.totals.model_fields_set.discard("flaps")
    figures = {one.figure for one in regressions(before, before, tolerance=0.25)}
    assert "nodes_ejected" in figures
    assert "flaps" not in figures


def test_more_comparisons_make_each_more_careful() -> None:
    before = drawn("memalloc", 12, dice(1))
    now = changed(before, lambda t: {"io_p50_seconds": 0.5 + t.io_longest_stall_seconds})
    only = regressions(before, now, tolerance=0.25, only=[("memalloc", "io_p50_seconds")])
    (among,) = (
        one for one in regressions(before, now, tolerance=0.25) if one.figure == "io_p50_seconds"
    )
    assert only[0].difference.low is not None
    assert among.difference.low is not None
    assert among.difference.low < only[0].difference.low


def test_what_is_worse_of_every_figure() -> None:
    for name in (*NAMES, *PHASE_NAMES, "after.io_p99_seconds"):
        kind = spec_of(name).worse
        assert kind is None or (kind.sign in (1, -1) and kind.floor >= 0)
    assert spec_of("packets").worse is None
    assert spec_of("heartbeats_sent").worse is None
    assert spec_of("misses_by_cause.link").worse is None
    less = spec_of("before.writes_per_second").worse
    assert less is not None
    assert less.sign == -1


def test_the_margin_is_the_largest_of_floor_tolerance_and_the_baselines_own_spread() -> None:
    kind = spec_of("io_p99_seconds").worse
    assert kind is not None
    assert margin(kind, [0.001] * 5, 0.001, 0.25) == 0.010
    assert margin(kind, [1.0] * 5, 1.0, 0.25) == 0.25
    runs = [0.9, 1.0, 1.8]
    assert margin(kind, runs, statistics.median(runs), 0.25) == pytest.approx(0.8)


def test_a_time_that_a_busy_machine_explains_is_no_regression() -> None:
    assert worse(lambda t: {"io_longest_stall_seconds": t.io_longest_stall_seconds + 0.2}) == [
        "io_longest_stall_seconds"
    ]
    busy = {"testbed_late_seconds": 0.11}  # the target, and then the initiator
    assert (
        worse(lambda t: {"io_longest_stall_seconds": t.io_longest_stall_seconds + 0.2, **busy})
        == []
    )
    assert worse(
        lambda t: {"io_longest_stall_seconds": t.io_longest_stall_seconds + 0.4, **busy}
    ) == ["io_longest_stall_seconds"]
    assert worse(lambda _: {"io_errors": 3, **busy}) == ["io_errors"]
