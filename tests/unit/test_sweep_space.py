"""What a sweep varies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crunchbed.experiments.sweep.quantity import Range, parse_range
from crunchbed.experiments.sweep.space import grid, parse_axes, sample, trials_of
from crunchbed.scenario.loader import load
from reserve_agent.errors import BadInput


def test_a_grid_has_every_combination_once() -> None:
    points = grid(parse_axes(["policy=none,memalloc", "crunch.pages=1000,4000"]))
    assert points == [
        {"policy": "none", "crunch.pages": "1000"},
        {"policy": "none", "crunch.pages": "4000"},
        {"policy": "memalloc", "crunch.pages": "1000"},
        {"policy": "memalloc", "crunch.pages": "4000"},
    ]


def test_nothing_varied_is_one_point() -> None:
    assert grid(()) == [{}]


def test_a_list_is_one_value() -> None:
    (axis,) = parse_axes(["memalloc=[block-io,heartbeat],[]"])
    assert axis.values == ("[block-io,heartbeat]", "[]")


@pytest.mark.parametrize(
    ("text", "low", "high", "shown"),
    [
        ("50us..200ms", 50_000, 200_000_000, "50us"),
        ("4KiB..1MiB", 4096, 1 << 20, "4KiB"),
        ("1Mbit..1Gbit", 10**6, 10**9, "1Mbit"),
        ("100..20000", 100, 20_000, "100"),
        ("0..1", 0, 10_000, "0"),  # a share; whole numbers would have nothing in between
        ("0..2", 0, 2, "0"),
        ("0.25..0.75", 2500, 7500, "0.25"),
    ],
)
def test_ranges(text: str, low: int, high: int, shown: str) -> None:
    found = parse_range(text)
    assert found is not None
    assert (found.low, found.high, found.show(found.low)) == (low, high, shown)


@pytest.mark.parametrize(
    "text",
    ["10..5", "1ms..10", "a..b", "5..5", "..", "1..", "nan..1", "inf..inf", "-1..3", "1ms..2KiB"],
)
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(BadInput, match=r"expected a range A\.\.B such as"):
        parse_range(text)


@pytest.mark.parametrize("text", ["policy", "=1", "policy=", "policy=none,,memalloc", "policy=a,a"])
def test_what_is_no_axis(text: str) -> None:
    with pytest.raises(BadInput, match="--vary"):
        parse_axes([text])


def test_a_key_given_twice() -> None:
    with pytest.raises(BadInput, match="--vary policy: expected each key once"):
        parse_axes(["policy=none", "policy=memalloc"])


def test_a_range_is_no_grid() -> None:
    with pytest.raises(BadInput, match="a range needs --random N or --find-threshold"):
        grid(parse_axes(["crunch.pages=1..10"]))


def test_drawn_points_differ_and_come_again_with_their_seed() -> None:
    axes = parse_axes(["policy=none,memalloc", "crunch.length=50us..200ms"])
    points = sample(axes, 30, seed=1)
    assert len({tuple(point.items()) for point in points}) == 30
    assert points == sample(axes, 30, seed=1) != sample(axes, 30, seed=2)


def test_no_more_are_drawn_than_there_are() -> None:
    assert len(sample(parse_axes(["policy=none,memalloc"]), 30, seed=1)) == 2


@given(low=st.integers(0, 10**9), width=st.integers(1, 10**9), share=st.floats(0, 1))
def test_a_step_lies_within_its_range(low: int, width: int, share: float) -> None:
    span = Range(low, low + width, str)
    assert low <= span.at(share) <= low + width
    assert (span.at(0), span.at(1)) == (low, low + width)


def test_trials_have_names_of_their_own_that_a_file_system_takes() -> None:
    scenario = load("writeback-crunch")
    points = grid(parse_axes(["memalloc=[block-io],[heartbeat]", "crunch.pages=10,20"]))
    trials = trials_of(scenario, points, (1, 2))
    names = [trial.name for trial in trials]
    assert len(set(names)) == 8
    assert all("/" not in name and len(name) < 128 for name in names)
    assert names == [trial.name for trial in trials_of(scenario, points, (1, 2))]
    assert [trial.seed for trial in trials] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert trials[1].scenario["crunch"]["pages"] == 20


def test_an_unknown_key_is_told_before_anything_runs() -> None:
    with pytest.raises(BadInput, match=r"override crunch\.pges: .*did you mean pages"):
        trials_of(load("writeback-crunch"), [{"crunch.pges": "1"}], (1,))
