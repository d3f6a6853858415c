"""What became of a run, in few words: runs that end alike have the same words.

Names of nodes are left out, so that the same thing on another node is nothing new.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from crunchbed.checks import service, writes
from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.invariants import Broken
from crunchbed.checks.membership import ejections
from crunchbed.history.history import History
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.membership import FenceFailed
from reserve_agent.contract.events.pressure import PressureBegan
from reserve_agent.contract.events.run import Recovery
from reserve_agent.contract.events.writes import IoDisconnected, ServiceStopped, WriteFailed

_MOST: Final = 3
"""More of a thing is not told apart."""
_LEAST_STALL: Final = 0.1
_NODES: Final = re.compile(r"\bn\d+((, | and )n\d+)*\b")


def outcome_of(history: History, scenario: Scenario, broken: list[Broken]) -> str:
    """Return what became of a run, parts separated by semicolons."""
    parts = [
        *_ejected(history, scenario),
        *_counted(history),
        *_causes(history, scenario),
        *_input_and_output(history, scenario),
        *(_end(event.reason) for event in history.of(Recovery)),
        *sorted({f"breaks {one.rule}" for one in broken}),
    ]
    return "; ".join(part for part in parts if part)


def nameless(text: str) -> str:
    """Return a text without the names of nodes and without figures."""
    return re.sub(r"\d+(\.\d+)?", "#", _NODES.sub("N", text))


def _ejected(history: History, scenario: Scenario) -> Iterator[str]:
    """Who was ejected, one after the other: one that serves or one that writes, dead or alive."""
    pair = scenario.block_io.pair
    kinds = [
        f"{'server' if one.node in pair else 'node'} {'alive' if one.false else 'gone'}"
        for one in ejections(history)
    ]
    for kind, several in groupby(kinds):
        yield f"ejects {kind}{_times(len(list(several)))}"


def _times(count: int) -> str:
    return "" if count == 1 else f" x{count}" if count < _MOST else f" x{_MOST}+"


def _counted(history: History) -> Iterator[str]:
    if moves := len(service.failovers(history)):
        yield f"fails over{_times(moves)}"
    reasons = [event.reason for event in history.of(NodeDown) if event.reason != "fence"]
    for reason in sorted(set(reasons)):
        yield f"{reason}{_times(reasons.count(reason))}"
    stops = {nameless(event.reason) for event in history.of(ServiceStopped)}
    yield from (f"service ends: {reason}" for reason in sorted(stops - {"shutdown"}))
    if failed := len(history.of(FenceFailed)):
        yield f"fence fails{_times(failed)}"
    if crunched := {event.node for event in history.of(PressureBegan)}:
        yield f"pressure{_times(len(crunched))}"


def _causes(history: History, scenario: Scenario) -> Iterator[str]:
    causes = {cause for _, cause in cause_of_each(history, scenario.heartbeat.interval)}
    if causes:
        yield f"misses by {', '.join(sorted(causes))}"


def _input_and_output(history: History, scenario: Scenario) -> Iterator[str]:
    request = scenario.block_io.request
    stalls = (writes.longest_stall_seconds(history, node, request) for node in scenario.writers)
    longest = max((stall for stall in stalls if stall is not None), default=0.0)
    if longest >= _LEAST_STALL:
        yield f"stall below {10 ** math.floor(math.log10(longest) + 1):g} s"
    if history.of(IoDisconnected):
        yield "connections lost"
    if history.of(WriteFailed):
        yield "writes fail"


def _end(reason: str | None) -> str:
    return "" if reason is None else f"not whole: {nameless(reason)}"
