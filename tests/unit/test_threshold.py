"""The search for where an outcome turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crunchbed.experiments.sweep.quantity import Range, parse_range
from crunchbed.experiments.sweep.threshold import Edge, Search, outcome_of
from crunchbed.scenario.units import duration_ns, format_size


def found(search: Search, outcome: Callable[[int], bool | None], most: int = 100) -> int:
    """Carry it out; returns how many values were asked for."""
    for asked in range(most):
        value = search.next()
        if value is None:
            return asked
        search.learn(outcome(int(value)))
    raise AssertionError("it goes on for ever")


@given(
    low=st.integers(0, 1000),
    width=st.integers(1, 10**6),
    share=st.floats(0, 1),
    rises=st.booleans(),
)
def test_it_encloses_the_turn(low: int, width: int, share: float, rises: bool) -> None:
    turn = low + 1 + round((width - 1) * share)
    search = Search(Range(low, low + width, str), tolerance=0.05)
    asked = found(search, lambda value: (value >= turn) is rises)
    result = search.result()
    assert result.rises is rises
    assert result.below is not None
    assert result.above is not None
    below, above = int(result.below), int(result.above)
    assert below < turn <= above
    assert above - below <= max(1, above * 0.05)
    assert asked <= 2 + 22


def test_values_on_the_way_are_round() -> None:
    span = parse_range("10ms..2s")
    assert span is not None
    search, asked = Search(span), []
    while (value := search.next()) is not None:
        asked.append(value)
        search.learn(duration_ns(value) >= duration_ns("430ms"))
    assert asked[:6] == ["10ms", "2s", "140ms", "530ms", "340ms", "440ms"]
    assert all(len(value) <= 6 for value in asked)
    result = search.result()
    assert result.below is not None
    assert result.above is not None
    assert duration_ns(result.below) < 430_000_000 <= duration_ns(result.above)
    assert parse_range("64KiB..256KiB") == Range(1 << 16, 1 << 18, format_size, 2)
    assert next(Range(1 << 16, 1 << 18, format_size, 2).middles()) == 160 << 10


@pytest.mark.parametrize("everywhere", [True, False])
def test_where_nothing_turns_two_values_suffice(everywhere: bool) -> None:
    search = Search(Range(10, 1000, str))
    assert found(search, lambda _value: everywhere) == 2
    result = search.result()
    assert (result.below, result.above) == (None, None)
    assert result.reason is not None
    assert "at both 10 and 1000" in result.reason


def test_a_value_without_a_valid_run_ends_it() -> None:
    search = Search(Range(10, 1000, str))
    found(search, lambda value: None if 10 < value < 1000 else value == 1000)
    assert search.result().reason == "no valid run at 100"


def test_most_runs_decide() -> None:
    assert outcome_of([1, 0, 2]) is True
    assert outcome_of([1, 0]) is False
    assert outcome_of([0, 0, 1]) is False
    assert outcome_of([]) is None


def walked(edge: Edge, outcomes: Callable[[int], list[float]], most: int = 40) -> list[str]:
    asked = []
    while (value := edge.next()) is not None:
        asked.append(value)
        assert len(asked) <= most
        edge.learn(outcomes(int(value)))
    return asked


@given(turn=st.integers(50, 9_000), before=st.integers(0, 2_000), after=st.integers(0, 2_000))
def test_the_edges_lie_outside_of_what_is_chance(turn: int, before: int, after: int) -> None:
    def outcomes(value: int) -> list[float]:
        if value < turn - before:
            return [0, 0, 0]
        return [1, 2, 1] if value >= turn + after else [0, 1, 1 if value >= turn else 0]

    search = Search(Range(10, 10_000, str))
    found(search, lambda value: outcome_of(outcomes(value)))
    if search.result().below is None:
        return
    low, high = search.edges()
    walked(low, outcomes)
    walked(high, outcomes)
    if low.found is None:
        assert turn - before <= 10
    else:
        assert 10 <= int(low.found) < max(11, turn - before)
    if high.found is None:
        assert turn + after > 10_000
    else:
        assert turn + after <= int(high.found) <= 10_000


def test_an_edge_walks_in_round_strides_that_grow_and_ends_where_all_agree() -> None:
    edge = Edge(Range(100, 1000, str), 440, -22, wanted=False)
    assert walked(edge, lambda value: [0, 0, 1] if value > 300 else [0, 0, 0]) == [
        *("440", "420", "380", "290"),
    ]
    assert edge.found == "290"


def test_an_edge_that_is_not_in_the_range_is_none_and_no_valid_run_agrees_with_nothing() -> None:
    edge = Edge(Range(100, 1000, str), 900, 50, wanted=True)
    assert walked(edge, lambda _value: [1, 0])[-1] == "1000"
    assert edge.found is None
    edge = Edge(Range(100, 1000, str), 900, 50, wanted=True)
    assert walked(edge, lambda value: [] if value < 1000 else [1])[-1] == "1000"
    assert edge.found == "1000"


def test_an_edge_leaves_out_what_cannot_be_run() -> None:
    edge = Edge(
        Range(0, 1000, str), 500, 10, wanted=True, accepts=lambda value: int(value) % 40 == 0
    )
    asked = walked(edge, lambda value: [value > 700])
    assert all(int(value) % 40 == 0 for value in asked[1:])
    assert edge.found is not None
