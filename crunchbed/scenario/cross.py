"""Contradictions between keys of a scenario that are each fine alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from crunchbed.expect import parse
from crunchbed.scenario import block_io, corosync, detector, faults, pair, shed
from crunchbed.scenario import cluster as network
from crunchbed.scenario.units import format_duration

if TYPE_CHECKING:
    from crunchbed.scenario.schema import Scenario, TimedCrunch

Contradiction = tuple[str, str, str]
"""Dotted key, what was expected, what was got."""


def first_contradiction(scenario: Scenario) -> Contradiction | None:
    """Return the first contradiction in the order of the file's keys, or None."""
    checks = (
        _memory,
        network.contradictions,
        block_io.contradictions,
        detector.contradictions,
        pair.contradictions,
        _heartbeat,
        corosync.contradictions,
        _ports,
        _crunch,
        shed.contradictions,
        faults.contradictions,
        _after,
    )
    return next((found for check in checks for found in check(scenario)), None)


def _memory(scenario: Scenario) -> Iterator[Contradiction]:
    memory = scenario.memory
    if memory.reserve == "auto":
        return
    if memory.reserve >= memory.pages:
        yield (
            "memory.reserve",
            f"fewer pages than memory.pages ({memory.pages})",
            f"{memory.reserve}",
        )
    if memory.clean + memory.reserve >= memory.pages:
        most = memory.pages - memory.reserve - 1
        yield "memory.clean", f"at most {most} so that clean + reserve < pages", f"{memory.clean}"


def _heartbeat(scenario: Scenario) -> Iterator[Contradiction]:
    deadline, control = scenario.removal_ns, scenario.phases.control
    if deadline > control:
        key, words = _deadline_of(scenario)
        yield (
            key,
            f"a deadline{words} within phases.control ({format_duration(control)}), "
            "else nothing shows that the testbed itself misses none",
            format_duration(deadline),
        )


def _deadline_of(scenario: Scenario) -> tuple[str, str]:
    """The key that decides it, and in words what it is made of."""
    if scenario.membership == "corosync":
        return "corosync.token", " (corosync's token + consensus)"
    if scenario.detector.model_dump() == {"kind": "fixed"}:
        return "heartbeat.misses", " (interval x misses)"
    return "detector", ""


def _ports(scenario: Scenario) -> Iterator[Contradiction]:
    # Packets are classified by port, whatever their protocol.
    taken: dict[int, str] = {}
    for section in ("block_io", "heartbeat", "traffic"):
        port: int = getattr(scenario, section).port
        if port in taken:
            yield f"{section}.port", f"another port than {taken[port]}.port", f"{port}"
        taken[port] = section


def _crunch(scenario: Scenario) -> Iterator[Contradiction]:
    crunch = scenario.crunch
    if crunch is None:
        return
    names = scenario.node_names
    if crunch.target not in (*names, "random"):
        yield "crunch.target", f"n1 to {names[-1]}, or random", crunch.target
    if crunch.kind == "timed":
        yield from _windows(crunch, scenario.phases.inject)
    elif crunch.kind == "flood" and crunch.jitter + crunch.duration >= scenario.phases.inject:
        inject = format_duration(scenario.phases.inject)
        got = format_duration(crunch.jitter + crunch.duration)
        yield "crunch.duration", f"jitter + duration within phases.inject ({inject})", got
    elif crunch.jitter >= scenario.phases.inject:
        inject = format_duration(scenario.phases.inject)
        yield "crunch.jitter", f"less than phases.inject ({inject})", format_duration(crunch.jitter)


def _after(scenario: Scenario) -> Iterator[Contradiction]:
    """What is measured after the recovery needs a time to be measured in."""
    named = [name.figure for text in scenario.expect for name in parse(text).names()]
    if scenario.phases.after == 0 and (
        scenario.steady or any(figure.startswith("after.") for figure in named)
    ):
        why = "steady" if scenario.steady else "what is expected of after"
        yield "phases.after", f"a time such as 2s, in which {why} is measured", "0s"


def _windows(crunch: TimedCrunch, inject: int) -> Iterator[Contradiction]:
    if crunch.length > crunch.every:
        every = format_duration(crunch.every)
        yield "crunch.length", f"at most crunch.every ({every})", format_duration(crunch.length)
    longest = crunch.longest
    if longest is not None and not crunch.length <= longest <= crunch.every:
        bounds = f"{format_duration(crunch.length)} to {format_duration(crunch.every)}"
        yield "crunch.longest", f"from length to every ({bounds})", format_duration(longest)
    # Each window lies somewhere within its own period.
    needed = crunch.jitter + crunch.count * crunch.every
    if needed > inject:
        yield (
            "crunch.count",
            f"jitter + count x every within phases.inject ({format_duration(inject)})",
            f"{crunch.count} windows that need {format_duration(needed)}",
        )
