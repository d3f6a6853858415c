"""What a seed decides about the crunches of a run. Pure: a scenario and a seed draw one plan."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from crunchbed.run.values import Flood
from crunchbed.scenario.crunch import (
    AnyCrunch,
    FloodCrunch,
    TimedCrunch,
    WritebackCrunch,
    crunched,
    spread_ns,
)
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.sizing import reserve_pages
from crunchbed.scenario.units import seconds


@dataclass(frozen=True)
class Burst:
    """Normal tasks want ``pages`` pages, ``rate`` of them a second."""

    pages: int
    rate: int


@dataclass(frozen=True)
class Plan:
    """One crunch, drawn.

    Attributes:
        kind: As in the scenario.
        target: The node that the crunch is on.
        delay_ns: From the beginning of the inject phase to the crunch.
        apart_ns: By so much more it comes after the first of the run's crunches.
        burst: For ``writeback``.
        flood: For ``flood``.
        windows: For ``timed``: start and end of each, nanoseconds after ``delay_ns``, and the free
            pages that the window leaves.
    """

    kind: str
    target: str
    delay_ns: int
    burst: Burst | None = None
    flood: Flood | None = None
    windows: tuple[tuple[int, int, int], ...] = ()
    apart_ns: int = 0

    @property
    def requested(self) -> dict[str, Any]:
        """Return the figures of ``crunch_requested``."""
        if self.burst is not None:
            return {"pages": self.burst.pages, "rate": self.burst.rate}
        if self.flood is not None:
            return {"rate": self.flood.rate, "seconds": self.flood.duration_ns / 1e9}
        length = sum(end - start for start, end, _ in self.windows)
        levels = list(dict.fromkeys(level for _, _, level in self.windows))
        return {
            "windows": len(self.windows),
            "level_pages": levels[0] if len(levels) == 1 else levels,
            "pressure_seconds": seconds(length),
        }


def draw(scenario: Scenario, seed: int) -> Plan | None:
    """Return the first crunch of this run; None where the scenario has none."""
    return next(iter(draw_all(scenario, seed)), None)


def draw_all(scenario: Scenario, seed: int) -> list[Plan]:
    """Return the crunches of this run, one for each node that has one, in their order."""
    crunch = scenario.crunch
    if crunch is None:
        return []
    dice = random.Random(f"{scenario.name}:{seed}")  # noqa: S311 - repeatable, not secret
    # Only a node that writes has writeback.
    names = scenario.writers if isinstance(crunch, WritebackCrunch) else scenario.node_names
    target = dice.choice(names) if crunch.target == "random" else crunch.target
    delay = dice.randrange(crunch.jitter + 1)
    first = _plan(crunch, target, delay, reserve_pages(scenario), dice)
    plans, apart = [first], spread_ns(crunch, len(names))
    others = _others(crunch, names, target, dice)
    for number, name in enumerate(others, 1):
        plan = _plan(crunch, name, delay, reserve_pages(scenario), dice)
        plans.append(replace(plan, apart_ns=apart * number // len(others)))
    return plans


def _others(
    crunch: AnyCrunch, names: Sequence[str], first: str, dice: random.Random
) -> Sequence[str]:
    """Return who has the crunch after ``first``: those after it in their order, or drawn ones."""
    wanted = crunched(crunch, len(names)) - 1
    if wanted == 0:
        return ()
    at = names.index(first)
    left = [*names[at + 1 :], *names[:at]]
    return dice.sample(left, wanted) if crunch.target == "random" else left[:wanted]


def _plan(crunch: AnyCrunch, target: str, delay: int, reserve: int, dice: random.Random) -> Plan:
    if isinstance(crunch, WritebackCrunch):
        return Plan(crunch.kind, target, delay, burst=Burst(crunch.pages, crunch.rate))
    if isinstance(crunch, FloodCrunch):
        flood = Flood(crunch.rate, crunch.duration, crunch.size, crunch.port)
        return Plan(crunch.kind, target, delay, flood=flood)
    levels = [round(reserve * (1 - depth)) for depth in crunch.depths]
    return Plan(crunch.kind, target, delay, windows=_windows(crunch, levels, dice))


def _windows(
    crunch: TimedCrunch, levels: Sequence[int], dice: random.Random
) -> tuple[tuple[int, int, int], ...]:
    """Draw one window in each period, somewhere in it; windows take the levels in turn."""
    windows = []
    for index in range(crunch.count):
        length = _length(crunch, dice)
        start = index * crunch.every + dice.randrange(crunch.every - length + 1)
        windows.append((start, start + length, levels[index % len(levels)]))
    return tuple(windows)


def _length(crunch: TimedCrunch, dice: random.Random) -> int:
    """Return the length asked for, or draw one, as many in each decade of lengths."""
    if crunch.longest is None:
        return crunch.length
    return round(crunch.length * math.pow(crunch.longest / crunch.length, dice.random()))
