"""How late the testbed's own processes were: a measured time may be this much too long.

An agent is an ordinary process, as initiators and targets are. Where an agent woke late
(``agent.late``), any other process may have waited for a processor as long.
"""

from __future__ import annotations

from crunchbed.history.history import History, Interval
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.pressure import AgentLate


def longest_seconds(history: History, node: str, span: Interval | None = None) -> float:
    """Return by how much the node's agent woke late at most in ``span``; 0: under 5 ms.

    ``span`` is from ``control`` to ``collect`` by default, since the machine is busy while a
    cluster starts.
    """
    span = span or _measured(history)
    late = history.during(AgentLate, span, node)
    return seconds(max((event.late_ns for event in late), default=0))


def _measured(history: History) -> Interval:
    phases = [history.phase(name) for name in ("control", "collect")]
    begin, end = (None if phase is None else phase.start for phase in phases)
    whole = history.span
    return Interval(whole.start if begin is None else begin, whole.end if end is None else end)
