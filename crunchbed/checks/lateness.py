"""How late the testbed's own processes were: what a time may owe to a busy machine.

An agent is an ordinary process, as initiators and targets are. When it has asked to be woken and
is woken late (``agent.late``), any of them may have waited for a processor as long.
"""

from __future__ import annotations

from crunchbed.history.history import History, Interval
from crunchbed.scenario.units import seconds


def longest_seconds(history: History, node: str, span: Interval | None = None) -> float:
    """Return by how much the node's agent woke late at most in ``span``; 0: under 5 ms.

    By default from the control phase until everything is collected: while a cluster starts, its
    machine is busy.
    """
    span = span or _measured(history)
    late = [event.data["late_ns"] for event in history.of("agent.late", node) if event.t in span]
    return seconds(max(late, default=0))


def _measured(history: History) -> Interval:
    phases = [history.phase(name) for name in ("control", "collect")]
    begin, end = (None if phase is None else phase.start for phase in phases)
    whole = history.span
    return Interval(whole.start if begin is None else begin, whole.end if end is None else end)
