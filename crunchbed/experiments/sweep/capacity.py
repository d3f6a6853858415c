"""Finds how many runs this machine carries at once, by runs without a fault."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from crunchbed.experiments.sweep.made import Made
from crunchbed.experiments.sweep.schedule import Workers
from crunchbed.experiments.sweep.space import Trial
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import duration_ns

_CONTROL = "3s"
_REST = "100ms"
_TRY_SECONDS = 180.0


def most() -> int:
    """Return how many to begin with: one more than processors, since a run mostly waits."""
    return (os.cpu_count() or 1) + 1


def control_of(scenario: Scenario) -> Scenario:
    """Return a scenario that runs the same cluster for some seconds, without crunch and faults."""
    deadline = scenario.removal_ns
    return scenario.with_overrides(
        {
            "crunch": None,
            "faults": [],
            "expect": [],
            "phases.control": max(_CONTROL, f"{2 * deadline}ns", key=duration_ns),
            "phases.inject": _REST,
        }
    )


def measure(
    workers: Workers,
    scenario: Scenario,
    start: int,
    note: Callable[[str], None],
    verdict: Callable[[Made], str | None],
) -> int:
    """Return how many runs at once, ``start`` at most, do not disturb one another; 1 at least.

    ``note`` gets a line for each try; ``verdict`` returns why a run was disturbed, or None.
    """
    resolved = control_of(scenario).resolved()
    for count in range(start, 1, -1):
        trials = [Trial(f"capacity-{index}", {}, index, resolved) for index in range(count)]
        futures = [workers.submit(trial) for trial in trials]
        waiting, until = list(futures), time.monotonic() + _TRY_SECONDS
        while waiting and time.monotonic() < until:
            for future in workers.first_done(waiting, 1.0):
                waiting.remove(future)
        reasons = [verdict(workers.made(future)) for future in futures if future not in waiting]
        disturbed = [reason for reason in reasons if reason is not None]
        if not disturbed and not waiting:
            note(f"{count} controls side by side: no miss; {count} runs at once")
            return count
        first = disturbed[0] if disturbed else "not done in time"
        note(f"{count} controls side by side: {len(disturbed)} disturbed ({first})")
    note("one run at a time")
    return 1
