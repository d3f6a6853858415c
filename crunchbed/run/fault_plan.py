"""What a seed decides about a run's faults, as timed steps. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from crunchbed.faults.base import RANDOM, FaultSection
from crunchbed.scenario.schema import Scenario


class Step(NamedTuple):
    """The begin or the undo of a fault.

    Steps are sorted as they are done: at the same moment one fault ends before another begins.

    Attributes:
        at_ns: Nanoseconds from the begin of the inject phase.
        begins: Whether it is the begin.
        fault: Number of the fault, from 0.
    """

    at_ns: int
    begins: bool
    fault: int


def draw_faults(scenario: Scenario, seed: int) -> tuple[FaultSection, ...]:
    """Return the scenario's faults with drawn targets and with the drawn jitter in ``after``.

    A fault that comes several times is that many faults.

    The random numbers are not those of the crunch: another fault leaves the crunch of a seed as
    it is, and the other way round.
    """
    facts = scenario.facts
    dice = random.Random(f"{scenario.name}:{seed}:faults")  # noqa: S311 - repeatable, not secret
    drawn = []
    for fault in (one for several in scenario.faults for one in several.repeated()):
        after = fault.after + dice.randrange(fault.jitter + 1)
        drawn_target = RANDOM in fault.targets
        one = fault.aimed_at(dice.choice(fault.candidates(facts))) if drawn_target else fault
        drawn.append(one.model_copy(update={"after": after, "jitter": 0}))
    return tuple(drawn)


def steps(faults: Sequence[FaultSection]) -> list[Step]:
    """Return every begin and undo in order.

    A fault that lasts until the injection is over has no undo.
    """
    found = []
    for number, fault in enumerate(faults):
        found.append(Step(fault.after, True, number))
        if fault.lasts_ns is not None:
            found.append(Step(fault.after + fault.lasts_ns, False, number))
    return sorted(found)
