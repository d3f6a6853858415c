"""The search for where an outcome turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crunchbed.scenario.units import duration_ns, format_size
from crunchbed.sweep.quantity import Range, parse_range
from crunchbed.sweep.threshold import Search, outcome_of


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
