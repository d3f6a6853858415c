"""What a seed decides about a run's faults, as timed steps. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

from crunchbed.scenario.faults import RANDOM, FaultSection
from crunchbed.scenario.schema import Scenario


class Step(NamedTuple):
    """Something to do to fault number ``fault``; ``at_ns`` counts from the inject phase's begin."""

    at_ns: int
    what: Literal["undo", "begin"]
    fault: int


def draw_faults(scenario: Scenario, seed: int) -> tuple[FaultSection, ...]:
    """Return the scenario's faults with targets drawn and jitter spent: ``after`` is when.

    The dice are not the crunch's: a fault more changes no crunch, and the other way round.
    """
    dice = random.Random(f"{scenario.name}:{seed}:faults")  # noqa: S311 - repeatable, not secret
    drawn = []
    for fault in scenario.faults:
        changes: dict[str, object] = {
            "after": fault.after + dice.randrange(fault.jitter + 1),
            "jitter": 0,
        }
        if RANDOM in fault.targets:
            name = dice.choice(scenario.node_names)
            changes["target"] = (name,) if fault.kind == "partition" else name
        drawn.append(fault.model_copy(update=changes))
    return tuple(drawn)


def steps(faults: Sequence[FaultSection]) -> list[Step]:
    """Return every begin and undo in order; what lasts to the end of the injection has no undo.

    At the same moment the one ends before the other begins.
    """
    found = []
    for number, fault in enumerate(faults):
        found.append(Step(fault.after, "begin", number))
        if fault.lasts_ns is not None:
            found.append(Step(fault.after + fault.lasts_ns, "undo", number))
    return sorted(found, key=order)


def order(step: Step) -> tuple[int, bool, int]:
    """The key by which steps are sorted."""
    return step.at_ns, step.what == "begin", step.fault
