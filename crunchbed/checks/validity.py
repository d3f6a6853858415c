"""Whether a run says anything about its claim, or only about the testbed."""

from __future__ import annotations

from collections.abc import Iterator

from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.heartbeats import misses
from crunchbed.checks.membership import ejections
from crunchbed.history.history import PHASES, History
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds


def incomplete(history: History) -> list[str]:
    """Return why the run's end is not known: the phases that it never reached."""
    missing = history.missing_phases()
    if missing:
        return [f"the run is not complete: no phase {', '.join(missing)}"]
    times = [history.phase(name) for name in PHASES]
    starts = [phase.start for phase in times if phase is not None]
    return [] if starts == sorted(starts) else ["the run's phases are out of order"]


def disturbed(history: History, scenario: Scenario) -> list[str]:
    """Return what went wrong before any fault was injected, or in the recording."""
    return [
        *_control_phase(history, scenario),
        *_testbed_misses(history, scenario),
        *_lost_events(history),
        *_missed_faults(history, scenario),
    ]


def _control_phase(history: History, scenario: Scenario) -> Iterator[str]:
    control = history.phase("control")
    if control is None:
        return
    missed = [miss for miss in misses(history) if miss.t in control]
    if missed:
        observers = ", ".join(sorted({miss.node for miss in missed}))
        yield f"control phase: {len(missed)} heartbeats missed without a fault (by {observers})"
    for ejection in ejections(history):
        if ejection.t in control:
            yield f"control phase: {ejection.node} ejected without a fault"
    # Half an interval late is what the daemon reports; a whole one is a heartbeat not sent.
    late = [
        e
        for e in history.of("heartbeat.late")
        if e.t in control and e.data["late_ns"] > scenario.heartbeat.interval
    ]
    if late:
        worst = max(late, key=lambda e: int(e.data["late_ns"]))
        yield (
            f"control phase: the heartbeat daemon of {worst.node} was "
            f"{seconds(worst.data['late_ns']):.3f} s late by its own clock"
        )


def _testbed_misses(history: History, scenario: Scenario) -> Iterator[str]:
    causes = cause_of_each(history, scenario.heartbeat.interval)
    count = sum(cause == "testbed" for _, cause in causes)
    if count:
        yield f"{count} heartbeats missed because the testbed itself was late or stood still"


def _missed_faults(history: History, scenario: Scenario) -> Iterator[str]:
    """A fault that met nothing, or whose time never came, is not the one that was asked for."""
    begun = history.of("fault.begin")
    for event in begun:
        if "impossible" in event.data:
            fault = f"{event.data['fault']} of {event.data['target']}"
            yield f"fault off target: {fault}: {event.data['impossible']}"
    if len(begun) < len(scenario.faults):
        yield f"{len(begun)} of {len(scenario.faults)} faults were begun"


def _lost_events(history: History) -> Iterator[str]:
    kinds = {
        "hook.events_lost": "of the hooks of {} were lost: pressure and causes are unknown",
        "events.lost": "of the daemons of {} were lost: misses and writes are unknown",
    }
    for kind, words in kinds.items():
        for node in sorted({event.node for event in history.of(kind)}):
            count = sum(e.data.get("count", 0) for e in history.of(kind, node))
            yield f"{count} events {words.format(node)}"
