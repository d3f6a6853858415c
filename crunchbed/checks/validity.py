"""Whether a run is complete, and was not disturbed by the testbed itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from crunchbed.checks import lateness, wholeness
from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.crunch import idle_bursts
from crunchbed.checks.faults import FaultSpan, fault_spans
from crunchbed.checks.heartbeats import misses
from crunchbed.checks.lives import downtimes
from crunchbed.checks.membership import ejections
from crunchbed.history.history import PHASES, History
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.contract.events.heartbeats import HeartbeatLate
from reserve_agent.contract.events.membership import FenceDelayed, FenceFailed
from reserve_agent.contract.events.pressure import HookEventsLost
from reserve_agent.contract.events.run import EventsLost


def incomplete(history: History, scenario: Scenario) -> list[str]:
    """Return why it is not known what happened: damage, or phases that were never reached."""
    if damaged := wholeness.damage(history, scenario):
        return damaged
    missing = history.missing_phases()
    if missing:
        return [f"the run is not complete: no phase {', '.join(missing)}"]
    times = [history.phase(name) for name in PHASES]
    starts = [phase.start for phase in times if phase is not None]
    return [] if starts == sorted(starts) else ["the run's phases are out of order"]


def disturbed(history: History, scenario: Scenario) -> list[str]:
    """Return what went wrong before any fault was injected, in the testbed or the recording."""
    return [
        *_control_phase(history, scenario),
        *_late_testbed(history, scenario),
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
    # The daemon reports half an interval; a whole interval late means a heartbeat not sent.
    late = history.during(HeartbeatLate, control)
    worst = max(late, key=lambda event: event.late_ns, default=None)
    if worst is not None and worst.late_ns > scenario.heartbeat.interval:
        yield (
            f"control phase: the heartbeat daemon of {worst.node} was "
            f"{seconds(worst.late_ns):.3f} s late by its own clock"
        )


def _late_testbed(history: History, scenario: Scenario) -> Iterator[str]:
    """Yield where the testbed was late. A simulated part is late only if the scenario wants it."""
    if scenario.cluster.repeatable:
        return
    yield from lateness.too_late(history, scenario)
    causes = cause_of_each(history, scenario.heartbeat.interval)
    count = sum(cause == "testbed" for _, cause in causes)
    if count:
        yield f"{count} heartbeats missed because the testbed itself was late or stood still"


def _missed_faults(history: History, scenario: Scenario) -> Iterator[str]:
    """Yield the faults that had nothing to hit, and the number of those that never began."""
    begun = history.of(FaultBegan)
    for event in begun:
        if event.impossible is not None:
            yield f"fault off target: {event.fault} of {event.target}: {event.impossible}"
    for fault in fault_spans(history):
        if fault.hit and fault.packets_only and all(_is_down(history, fault)):
            targets = ", ".join(fault.targets)
            yield f"fault off target: {fault.kind} of {targets}: down all the time"
        if fault.hit and fault.kind == "fence-failure" and not _was_asked(history, fault):
            yield f"fault off target: nobody asked for a fence of {fault.began.target} in it"
    yield from (f"fault off target: {reason}" for reason in idle_bursts(history))
    planned = sum(fault.count for fault in scenario.faults)
    if len(begun) < planned:
        yield f"{len(begun)} of {planned} faults were begun"


def _was_asked(history: History, fault: FaultSpan) -> bool:
    """Return whether a fence failed or waited in the fault."""
    asked: list[FenceFailed | FenceDelayed] = history.together(FenceFailed, FenceDelayed)
    return any(event.t in fault.span and event.target in fault.targets for event in asked)


def _is_down(history: History, fault: FaultSpan) -> Iterator[bool]:
    """Yield of each target whether it was down from the begin of a fault to its end."""
    for target in fault.targets:
        downs = downtimes(history, target)
        yield any(fault.span.start in down and fault.span.end - 1 in down for down in downs)


def _lost_events(history: History) -> Iterator[str]:
    for node, count in _by_node(history.of(HookEventsLost)):
        yield f"{count} events of the hooks of {node} were lost: pressure and causes are unknown"
    for node, count in _by_node(history.of(EventsLost)):
        yield f"{count} events of the daemons of {node} were lost: misses and writes are unknown"


def _by_node(lost: Iterable[HookEventsLost | EventsLost]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for event in lost:
        counts[event.node] += event.count
    return sorted(counts.items())
