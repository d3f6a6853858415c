"""The smallest schedule that breaks the same rule: fewest faults, then the simplest times.

A candidate takes the place of the schedule where it is simpler and a run of it still breaks the
rule. The candidates of a schedule come in the order of what they gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from crunchbed.experiments.search.schedule import Keys, Schedule
from crunchbed.scenario.units import duration_ns, format_duration

MOST_RUNS: Final = 300
"""Runs that a schedule may cost: what is smallest by then is told."""
_UNITS: Final = (1_000_000_000, 500_000_000, 100_000_000, 50_000_000)
_TIMES: Final = (
    *("after", "for", "takes", "delay", "wdelay"),  # of faults
    *("jitter", "duration", "every", "length"),  # of crunches
)
_NEEDED: Final = ("kind", "target", "after", "for")
_FEWER: Final = ("pages", "fails", "count", "rate")
_SIMPLEST_SEED: Final = 1

StillBreaks = Callable[[Schedule], bool]


@dataclass
class Shrunk:
    """What came of it.

    Attributes:
        schedule: The smallest one.
        runs: How many runs that took.
    """

    schedule: Schedule
    runs: int = 0


def shrink(found: Schedule, breaks: StillBreaks, shrunk: Shrunk | None = None) -> Shrunk:
    """Return the smallest schedule.

    Args:
        found: A schedule that breaks a rule.
        breaks: Makes a run, and returns whether it breaks the same rule; False for a schedule that
            contradicts its scenario.
        shrunk: Is brought up to date with every step, for those who end it early.
    """
    best = shrunk or Shrunk(found)
    tried: set[str] = {repr(found)}
    while (better := _first(best, tried, breaks)) is not None:
        best.schedule = better
    return best


def _first(best: Shrunk, tried: set[str], breaks: StillBreaks) -> Schedule | None:
    for candidate in candidates(best.schedule):
        if repr(candidate) in tried:
            continue
        if best.runs >= MOST_RUNS:
            return None
        tried.add(repr(candidate))
        best.runs += 1
        if breaks(candidate):
            return candidate
    return None


def candidates(schedule: Schedule) -> Iterator[Schedule]:
    """Yield simpler schedules, those first that are simpler by most."""
    if schedule.crunch is not None:
        yield replace(schedule, crunch=None)
    for place in range(len(schedule.faults)):
        yield schedule.without(place)
    if schedule.seed != _SIMPLEST_SEED:
        yield replace(schedule, seed=_SIMPLEST_SEED)
    for place, keys in enumerate(schedule.faults):
        yield from (schedule.with_fault(place, one) for one in _simpler(keys))
    if schedule.crunch is not None:
        yield from (replace(schedule, crunch=one) for one in _simpler(schedule.crunch))


def _simpler(keys: Keys) -> Iterator[Keys]:
    """Yield the same fault, or crunch, with one key left out or with a simpler value."""
    for key in keys:
        if key not in _NEEDED and keys["kind"] not in ("writeback", "timed", "flood"):
            yield {name: value for name, value in keys.items() if name != key}
    for key, value in keys.items():
        if isinstance(value, list | tuple) and len(value) > 1:
            yield from ({**keys, key: [*value[:at], *value[at + 1 :]]} for at in range(len(value)))
        for simpler in _values(key, value):
            yield {**keys, key: simpler}


def _values(key: str, value: Any) -> Iterator[object]:
    if key in _FEWER and isinstance(value, int):
        yield from (_round_down(value, digits) for digits in _digits(value))
    if key in _TIMES and isinstance(value, str):
        yield from map(format_duration, _times(duration_ns(value)))


def _digits(value: int) -> Iterator[int]:
    """Yield how many digits to set to 0: all but one, all but two."""
    yield from (count for count in (len(str(value)) - 1, len(str(value)) - 2) if count > 0)


def _round_down(value: int, digits: int) -> int:
    return value - value % int(10**digits)


def _times(ns: int) -> Iterator[int]:
    """Yield rounder times near one, of coarse units first; a rounder one yields coarser ones."""
    for unit in _UNITS:
        if ns % unit == 0:
            return
        yield from (around for around in (ns // unit * unit, (ns // unit + 1) * unit) if around)


def simplicity(schedule: Schedule) -> tuple[int, int]:
    """Return what the smallest schedule has least of: faults and crunches, then words."""
    words: Mapping[str, int] = {line: len(line) for line in schedule.words()}
    return schedule.events, sum(words.values())
