"""What was done to a cluster that `crunchbed up` held open, a line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from crunchbed.checks.faults import fault_spans
from crunchbed.checks.heartbeats import misses
from crunchbed.checks.lives import overlap
from crunchbed.checks.membership import ejections
from crunchbed.checks.pressure import episodes
from crunchbed.history.history import History, Interval
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.faults import CrunchBegan, CrunchEnded
from reserve_agent.contract.events.pressure import PoolConfigured


def actions_taken(history: History) -> list[str]:
    """Return a line for each crunch, fault, switch of policy and ejection, by time.

    Times are seconds from the begin of the control phase.
    """
    control = history.phase("control")
    start = history.span.start if control is None else control.start
    found = sorted([*_crunches(history), *_faults(history), *_policies(history), *_out(history)])
    return [f"{(t - start) / 1e9:8.3f} s  {text}" for t, text in found]


def _crunches(history: History) -> Iterator[tuple[int, str]]:
    ends = list(history.of(CrunchEnded))
    for begin in history.of(CrunchBegan):
        node = begin.target
        end = next((end for end in ends if end.t >= begin.t and end.target == node), None)
        if end is not None:
            ends.remove(end)
        span = Interval(begin.t, history.span.end if end is None else end.t)
        pressed = sum(one.length for one in overlap([span], episodes(history, node)))
        missed = sum(miss.t in span for miss in misses(history))
        yield (
            begin.t,
            f"{node}: {begin.crunch} crunch, {seconds(pressed):.6f} s of pressure, "
            f"{missed} heartbeats missed meanwhile",
        )


def _faults(history: History) -> Iterator[tuple[int, str]]:
    for fault in fault_spans(history):
        length = seconds(fault.span.length)
        yield fault.span.start, f"{', '.join(fault.targets)}: {fault.kind} for {length:.3f} s"


def _policies(history: History) -> Iterator[tuple[int, str]]:
    before: dict[str, str] = {}
    for event in history.of(PoolConfigured):
        if before.get(event.node, event.policy) != event.policy:
            yield event.t, f"{event.node}: policy {event.policy}"
        before[event.node] = event.policy


def _out(history: History) -> Iterator[tuple[int, str]]:
    for one in ejections(history):
        yield one.t, f"{one.node}: ejected{' though it was alive' if one.false else ''}"
