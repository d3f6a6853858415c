"""When parts of the testbed stood still, and whether a run can bear that.

The run looks at all its processes from outside (``part.late``); agents and heartbeat daemons also
notice themselves that they woke late. Where an agent woke late, any other ordinary process may have
waited for a processor as long. A daemon that a fault stopped did what the scenario asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from crunchbed.checks.faults import fault_spans
from crunchbed.checks.lives import target_of
from crunchbed.history.history import History, Interval, remembered
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.base import RUN
from reserve_agent.contract.events.faults import NodeUp
from reserve_agent.contract.events.heartbeats import HeartbeatLate
from reserve_agent.contract.events.pressure import AgentLate
from reserve_agent.contract.events.run import PartLate, PhaseBegan

_BLOCK_IO: Final = ("initiator", "machine", "target", "service", RUN)
_OWN: Final[Mapping[type, str]] = {AgentLate: "agent", HeartbeatLate: "heartbeat"}
_AGENTS: Final = ("agent", "attendant")
_MOST: Final = 5
"""Parts that are named; where the machine stood still, all did."""


class Stood(NamedTuple):
    """A time in which a part stood still though no fault had stopped it.

    Attributes:
        node: Where the part is; ``run``, ``storage`` or ``controller`` where that is no node.
        part: The part, as in ``part.late``.
        program: The program that the part had started, where that stood still; None: the part.
        span: When.
    """

    node: str
    part: str
    program: str | None
    span: Interval

    @property
    def name(self) -> str:
        """What to call the part in a message."""
        if self.part == self.node:
            return "the run itself" if self.part == RUN else f"the {self.part}"
        program = "" if self.program is None else f" ({self.program})"
        return f"the {self.part} of {self.node}{program}"


def seen_from_outside(late: PartLate) -> Stood:
    """Return when a part stood still, whatever the scenario has asked for."""
    return Stood(late.node, late.part, late.program, Interval(late.since, late.t))


@remembered
def stood_still(history: History) -> list[Stood]:
    """Return when parts stood still from ``control`` to ``collect``, seen from outside or not.

    The machine is busy while a cluster starts, and nothing is measured then.
    """
    late: list[AgentLate | HeartbeatLate] = history.together(AgentLate, HeartbeatLate)
    own_clocks = (
        Stood(one.node, _OWN[type(one)], None, Interval(one.t - one.late_ns, one.t)) for one in late
    )
    return [*_seen_from_outside(history), *_unwanted(history, own_clocks)]


@remembered
def _seen_from_outside(history: History) -> list[Stood]:
    return _unwanted(history, map(seen_from_outside, history.of(PartLate)))


def _unwanted(history: History, every: Iterable[Stood]) -> list[Stood]:
    """Return what of these times was measured, and was not asked for by the scenario."""
    measured = _measured(history)
    return [
        one._replace(span=span)
        for one in every
        if (clipped := one.span.clip(measured)) is not None
        for span in _without(clipped, _stopped_on_purpose(history, one.node, one.part))
    ]


@remembered
def _stopped_on_purpose(history: History, node: str, part: str) -> list[Interval]:
    """Return when faults had this daemon stopped; the daemon of the node's next boot is another."""
    boots = [event.t for event in history.of(NodeUp) if target_of(event) == node]
    return [
        Interval(one.span.start, min([one.span.end, *(t for t in boots if t > one.span.start)]))
        for one in fault_spans(history)
        if one.stops(node, part)
    ]


def _without(span: Interval, others: list[Interval]) -> list[Interval]:
    """Return the parts of an interval that lie in no other one."""
    left = [span]
    for other in others:
        sides = (
            side
            for one in left
            for side in (
                Interval(one.start, min(one.end, other.start)),
                Interval(max(one.start, other.end), one.end),
            )
        )
        left = [side for side in sides if side.length > 0]
    return left


def longest_seconds(
    history: History, node: str | None = None, span: Interval | None = None
) -> float:
    """Return how long a part stood still at most; 0: no agent woke 5 ms late.

    That a heartbeat daemon woke late by its own clock does not count: it goes before all others.

    Args:
        history: the run.
        node: only the parts of this node; all by default.
        span: only what was over in this time; the whole measurement by default.
    """
    within = span or _measured(history)
    late = [event.late_ns for event in history.during(AgentLate, within, node)]
    seen = (one for one in _seen_from_outside(history) if node in (None, one.node))
    late += [inside.length for one in seen if (inside := one.span.clip(within)) is not None]
    return seconds(max(late, default=0))


def agent_ns(history: History, node: str) -> int:
    """Return by how much the work of a node's agent came late at most, from the start on."""
    late: list[AgentLate | PartLate] = [
        *history.of(AgentLate, node),
        *(event for event in history.of(PartLate, node) if event.part in _AGENTS),
    ]
    return max((event.late_ns for event in late), default=0)


def run_ns(history: History) -> int:
    """Return for how long the run itself stood still in all."""
    return sum(event.late_ns for event in history.of(PartLate, RUN) if event.part == RUN)


def _measured(history: History) -> Interval:
    phases = [history.phase(name) for name in ("control", "collect")]
    begin, end = (None if phase is None else phase.start for phase in phases)
    whole = history.span
    return Interval(whole.start if begin is None else begin, whole.end if end is None else end)


def bearable_ns(scenario: Scenario, part: str) -> int:
    """Return how long a part may stand still before that alone can be taken for a failure.

    A peer is suspected after the detector's silence, and its last heartbeat may be an interval old
    by then. An initiator that has set itself a time-out gives up a connection after that.
    """
    interval = scenario.heartbeat.interval
    silence = max(interval, scenario.deadline_ns - interval)
    answer = scenario.block_io.answer_ns
    return silence if answer is None or part not in _BLOCK_IO else min(silence, answer)


def too_late(history: History, scenario: Scenario) -> Iterator[str]:
    """Yield each part that stood still for longer than a run can bear, and when it did longest."""
    worst: dict[str, Stood] = {}
    for one in stood_still(history):
        known = worst.get(one.name)
        if one.span.length > bearable_ns(scenario, one.part) and (
            known is None or one.span.length > known.span.length
        ):
            worst[one.name] = one
    found = sorted(worst.values(), key=lambda one: -one.span.length)
    for one in found[:_MOST]:
        yield (
            f"{one.name} stood still for {seconds(one.span.length):.3f} s in the phase "
            f"{_phase_at(history, one.span.start)}: {_bearable(scenario, one.part)} s can be borne"
        )
    if len(found) > _MOST:
        yield f"{len(found) - _MOST} other parts stood still for too long"


def _bearable(scenario: Scenario, part: str) -> str:
    return f"{seconds(bearable_ns(scenario, part)):.3f}"


def _phase_at(history: History, t: int) -> str:
    return [mark.name for mark in history.of(PhaseBegan) if mark.t <= t][-1]
