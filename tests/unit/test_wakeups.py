"""How late an agent wakes, and what a run makes of it."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Iterator

import pytest

from crunchbed.checks import lateness
from crunchbed.checks.steady import phase_figures
from crunchbed.history.history import Interval
from reserve_agent.wakeups import wait
from tests.unit.judged_runs import good_run, scenario
from tests.unit.recording import MS, Recording


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as found:
        yield found


def test_a_wait_that_takes_longer_than_asked_is_told(selector: selectors.BaseSelector) -> None:
    times, told = iter([10.0, 10.2, 20.0, 20.014]), list[int]()
    assert wait(selector, 0.0, told.append, lambda: next(times)) == []
    assert told == [200 * MS]
    wait(
        selector, 0.01, told.append, lambda: next(times)
    )  # 4 ms are what a timer of milliseconds may take
    assert told == [200 * MS]


def test_what_is_ready_is_returned_at_once(selector: selectors.BaseSelector) -> None:
    told = list[int]()
    reader, writer = os.pipe()
    try:
        selector.register(reader, selectors.EVENT_READ, "pipe")
        os.write(writer, b"x")
        begun = time.monotonic()
        (key,) = wait(selector, 5.0, told.append)
        assert key.data == "pipe"
        assert time.monotonic() - begun < 2.5
        assert told == []
    finally:
        os.close(reader)
        os.close(writer)


def late_run() -> Recording:
    recording = good_run()
    recording.add(50, "agent.late", "n1", late_ns=400 * MS)  # while the cluster starts
    recording.add(500, "agent.late", "n1", late_ns=30 * MS)
    recording.add(2000, "agent.late", "n1", late_ns=70 * MS)
    return recording.add(2500, "agent.late", "n2", late_ns=60 * MS)


def test_the_longest_counts_and_none_before_the_control_phase() -> None:
    history = late_run().history()
    found = [lateness.longest_seconds(history, node) for node in ("n1", "n2", "n3")]
    assert found == [0.07, 0.06, 0.0]
    assert lateness.longest_seconds(history, "n1", Interval(0, 600 * MS)) == 0.4


def test_each_phase_has_its_own() -> None:
    figures = phase_figures(late_run().history(), scenario())
    found = {name: one.testbed_late_seconds for name, one in figures.items()}
    assert found["before"] == 0.03
    assert found["during"] == 0.07
