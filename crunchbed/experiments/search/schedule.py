"""A schedule: the faults and the crunch of one run, and its seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import format_duration

Keys = Mapping[str, Any]
"""One fault, or a crunch, as a scenario file has it."""


@dataclass(frozen=True)
class Schedule:
    """What one run does to its cluster.

    Attributes:
        seed: The seed of the run.
        crunch: The scenario's ``crunch``; None: there is none.
        faults: The scenario's ``faults``.
    """

    seed: int
    crunch: Keys | None
    faults: tuple[Keys, ...]

    @classmethod
    def of(cls, scenario: Scenario, seed: int) -> Self:
        """Return what a scenario says by itself."""
        keys = scenario.resolved()
        return cls(seed, keys["crunch"], tuple(keys["faults"]))

    @property
    def events(self) -> int:
        """How many faults and crunches there are."""
        return len(self.faults) + (self.crunch is not None)

    def of_scenario(self, base: Scenario) -> Scenario:
        """Return the scenario with this schedule; BadInput: they do not go together."""
        return base.with_overrides({"crunch": self.crunch, "faults": list(self.faults)})

    def without(self, index: int) -> Self:
        """Return the schedule without one fault."""
        return replace(self, faults=(*self.faults[:index], *self.faults[index + 1 :]))

    def with_fault(self, index: int, keys: Keys) -> Self:
        """Return the schedule with another fault in a place."""
        return replace(self, faults=(*self.faults[:index], keys, *self.faults[index + 1 :]))

    def words(self) -> list[str]:
        """Return a line for the crunch and each fault."""
        events: Sequence[Keys] = [*([self.crunch] if self.crunch else []), *self.faults]
        return [_words(one) for one in events]


def _words(keys: Keys) -> str:
    rest = {key: value for key, value in keys.items() if key != "kind"}
    return f"{keys['kind']}: {', '.join(f'{key} {_value(one)}' for key, one in rest.items())}"


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def searched(scenario: Scenario) -> Scenario:
    """Return a scenario as a search runs it: simulated, without expectations, calm for short.

    What is calm takes as long to compute as what is not, so the control phase is as short as the
    deadline lets it be, and nothing is measured after the recovery.
    """
    control = format_duration(max(scenario.removal_ns, 100_000_000))
    return scenario.with_overrides(
        {
            "cluster.backend": "simulation",
            "expect": [],
            "steady": [],
            "capture": False,
            "phases.control": control,
            "phases.after": "0s",
        }
    )
