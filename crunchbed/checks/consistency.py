"""Whether what a history says fits together: its run, phases, times, writes and recovery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crunchbed.checks import lateness
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.base import RUN
from reserve_agent.contract.events.faults import FaultBegan, FaultEnded
from reserve_agent.contract.events.heartbeats import HeartbeatLate, HeartbeatSent
from reserve_agent.contract.events.pressure import AgentLate, AgentRestarted
from reserve_agent.contract.events.run import PartClosed, PartLate, PhaseBegan, Recovery, RunInfo
from reserve_agent.contract.events.writes import (
    VerifyResult,
    WriteAcknowledged,
    WritesVerified,
)
from reserve_agent.contract.packets import PAGE_BYTES

_LATE_NS: Final = 1_000_000_000
"""By how much a writer's times may go back."""
_LONG_NS: Final = 5_000_000_000
"""By how much a phase may be too long: a part of a busy machine answers late."""
_EARLY_NS: Final = 5_000_000
_LAST: Final = 1000
"""Acknowledgements of the end of a run, which are looked at."""
_NUMBERED: Final = (2, 3)
"""Formats whose events have ids."""
_SETTLED_NS: Final = 5_000_000_000
"""What faults may take to settle at the end of the injection."""


def contradictions(history: History, scenario: Scenario) -> list[str]:
    """Return what in a numbered history contradicts itself or its scenario."""
    return [
        *_run(history, scenario),
        *_phases(history, scenario),
        *_recovery(history, scenario),
        *_faults(history),
        *_verified(history, scenario),
    ]


def _run(history: History, scenario: Scenario) -> Iterator[str]:
    infos = history.of(RunInfo)
    if len(infos) != 1:
        yield f"expected one run.info, got {len(infos)}"
        return
    (info,) = infos
    if info.scenario != scenario.name:
        yield f"run.info: scenario {info.scenario}, but scenario.json is of {scenario.name}"
    switch, backend = scenario.cluster.switch, scenario.cluster.backend
    if switch not in ("auto", info.kind_of_switch):
        yield f"run.info: switch {info.kind_of_switch}, but the scenario has {switch}"
    if info.switch is not None and info.backend != backend:
        yield f"run.info: backend {info.backend}, but the scenario has {backend}"
    if info.seed is None:
        yield "run.info: no seed"
    if info.format not in _NUMBERED:
        yield f"run.info: format {info.format} of a history whose events have ids"


def _phases(history: History, scenario: Scenario) -> Iterator[str]:
    names = [mark.name for mark in history.of(PhaseBegan)]
    wanted = ["start", "control", "inject", "recovery", "after", "collect", "end"]
    if not scenario.phases.after:
        wanted.remove("after")
    if names != wanted:
        yield f"expected the phases {', '.join(wanted)}, got {', '.join(names) or 'none'}"
        return
    lengths, late = scenario.phases, _LONG_NS + lateness.run_ns(history)
    aftermath = 2 * scenario.removal_ns
    planned = scenario.crunch is not None or bool(scenario.faults)
    inject = (
        aftermath if planned else lengths.inject,
        lengths.inject + planned * (_SETTLED_NS + aftermath) + late,
    )
    bounds = {"after": (lengths.after, lengths.after + late)} if lengths.after else {}
    bounds["recovery"] = (0, lengths.recovery + late)
    if not any(info.held for info in history.of(RunInfo)):
        bounds |= {"control": (lengths.control, lengths.control + late), "inject": inject}
    for name, (least, most) in bounds.items():
        phase = history.phase(name)
        if phase is not None and not least - _EARLY_NS <= phase.length <= most:
            yield (
                f"the phase {name} took {seconds(phase.length):.3f} s, expected "
                f"{seconds(least):.3f} s to {seconds(most):.3f} s"
            )


def wrong_times(history: History) -> Iterator[str]:
    """Times are within the run; nothing is acknowledged or sent at its end."""
    acks = history.of(WriteAcknowledged)[-_LAST:]
    starts = [mark.t for mark in history.of(PhaseBegan) if mark.name == "start"]
    ends = [closed.t for closed in history.of(PartClosed, RUN)]
    early = sum(event.t < min(starts, default=0) for event in history.events)
    late = sum(event.t > max(ends, default=event.t) for event in history.events)
    if early or late:
        yield f"{early} events are before the run, {late} after it"
    after = sum(ack.t > result.t for result in history.of(VerifyResult) for ack in acks)
    if after:
        yield f"{after} writes were acknowledged after the read-back"
    end = history.phase("end")
    beats = 0 if end is None else sum(e.t > end.start for e in history.of(HeartbeatSent)[-_LAST:])
    if beats:
        yield f"{beats} heartbeats were sent after the run's end"
    yield from _order(history)


def _order(history: History) -> Iterator[str]:
    """Times grow with the numbers of each writer."""
    worst: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for event in history.events:  # by time: where a number goes back, its event came too early
        writer, _, number = event.id.partition(":")
        if writer == RUN or not number.isdecimal():
            continue
        key, now = (event.node, writer), int(number)
        before = last.get(key)
        if before is None or now >= before[0]:
            last[key] = (now, event.t)
        else:
            worst[key] = max(worst.get(key, 0), event.t - before[1])
    for (node, writer), back in worst.items():
        if back > _LATE_NS + max(_latest(history), _away(history, node)):
            yield f"the times of writer {writer} of {node} go back by {seconds(back):.3f} s"


def _latest(history: History) -> int:
    late: list[AgentLate | HeartbeatLate | PartLate] = history.together(
        AgentLate, HeartbeatLate, PartLate
    )
    return max((event.late_ns for event in late), default=0)


def _away(history: History, node: str) -> int:
    """Return how long a node had no agent: the next one writes down what the hooks kept for it."""
    return max((event.t - event.since for event in history.of(AgentRestarted, node)), default=0)


def _recovery(history: History, scenario: Scenario) -> Iterator[str]:
    events, phase = history.of(Recovery), history.phase("recovery")
    if len(events) != 1:
        yield f"expected one event recovery, got {len(events)}"
        return
    (event,) = events
    if event.healthy != (event.reason is None):
        yield f"recovery: healthy {event.healthy}, with the reason {event.reason}"
    waited = phase is not None and phase.length >= scenario.phases.recovery - _EARLY_NS
    if not event.healthy and not waited:
        yield "recovery: not healthy, but nobody waited until the end of the phase"


def _faults(history: History) -> Iterator[str]:
    begun = {event.number for event in history.of(FaultBegan)}
    ended = {event.number for event in history.of(FaultEnded)}
    if ended - begun:
        yield f"{len(ended - begun)} faults ended that did not begin"


def _verified(history: History, scenario: Scenario) -> Iterator[str]:
    """What was read back is what was acknowledged."""
    results = history.of(VerifyResult)
    if len(results) != 1:
        yield f"expected one verify.result, got {len(results)}"
        return
    (result,) = results
    if result.checked != result.ok + result.lost + result.corrupt:
        yield (
            f"verify.result: {result.checked} checked is not "
            f"{result.ok} ok + {result.lost} lost + {result.corrupt} corrupt"
        )
    told = history.of(WritesVerified)
    bad = sum(event.lost for event in told)
    if len(told) == len(scenario.node_names) and bad != result.lost + result.corrupt:
        yield f"the nodes were told of {bad} lost blocks, verify.result says another number"
    size = len(scenario.node_names) * scenario.block_io.export // PAGE_BYTES
    blocks: set[tuple[str, int]] = set()
    for ack in history.of(WriteAcknowledged):
        if ack.block + ack.blocks > size:
            yield f"write.ack: block {ack.block + ack.blocks} is not on the disk"
            return
        blocks.update((ack.node, block) for block in range(ack.block, ack.block + ack.blocks))
    if len(blocks) != result.checked:
        yield f"{len(blocks)} blocks were acknowledged, and {result.checked} were read back"
