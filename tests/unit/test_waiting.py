"""Waiting with a bound."""

import time

import pytest

from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError


def test_a_true_condition_costs_no_wait() -> None:
    before = time.monotonic()
    wait_until(lambda: True, timeout=5, what="nothing", interval=5)
    assert time.monotonic() - before < 1


def test_time_up_names_what_was_awaited() -> None:
    with pytest.raises(CrunchbedError, match=r"waited 0.05 s in vain: the sun"):
        wait_until(lambda: False, timeout=0.05, what="the sun")


def test_the_pump_moves_the_condition_along() -> None:
    turns: list[int] = []
    wait_until(
        lambda: len(turns) >= 3, timeout=5, what="3", interval=0, pump=lambda: turns.append(1)
    )
    assert len(turns) == 3


def test_the_condition_is_looked_at_once_more_when_time_is_up() -> None:
    deadline = time.monotonic() + 0.05
    wait_until(lambda: time.monotonic() >= deadline, timeout=0.05, what="the end", interval=9)
