"""How many runs this machine carries side by side: tried with nothing but controls."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from crunchbed.experiments.sweep.run_process import Made
from crunchbed.experiments.sweep.schedule import Workers
from crunchbed.experiments.sweep.trial import Trial
from crunchbed.scenario.schema import Scenario

_CONTROL = "3s"
_REST = "100ms"
_TRY_SECONDS = 180.0


def most() -> int:
    """Where the search begins: a run waits more than it computes."""
    return (os.cpu_count() or 1) + 1


def control_of(scenario: Scenario) -> Scenario:
    """The scenario's cluster for some seconds, without its fault."""
    deadline = scenario.removal_ns
    return scenario.with_overrides(
        {
            "crunch": None,
            "faults": [],
            "expect": [],
            "phases.control": max(_CONTROL, f"{2 * deadline}ns", key=_nanoseconds),
            "phases.inject": _REST,
        }
    )


def _nanoseconds(text: str) -> int:
    from crunchbed.scenario.units import duration_ns

    return duration_ns(text)


def measure(
    workers: Workers,
    scenario: Scenario,
    start: int,
    note: Callable[[str], None],
    verdict: Callable[[Made], str | None],
) -> int:
    """The most controls, from ``start`` down, that do not disturb one another; 1 at least.

    Args:
        workers: Where they run.
        scenario: Whose cluster they are.
        start: How many to begin with.
        note: Told what was found.
        verdict: Why a run was disturbed, or None.
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
