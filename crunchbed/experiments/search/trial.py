"""One run of a search: made in memory, and held against the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crunchbed.checks.invariants import Broken, broken
from crunchbed.checks.judge import place_of
from crunchbed.experiments.search.outcome import nameless, outcome_of
from crunchbed.run.in_memory import history_of
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, RunInvalid

ERROR: Final = "error"
"""The rule that a run breaks which does not come to its end: beside those of ``RULES``."""


@dataclass(frozen=True)
class Tried:
    """What came of a run.

    Attributes:
        outcome: What became of it, in words.
        broken: The rules that it has broken.
    """

    outcome: str
    broken: tuple[Broken, ...] = ()

    @property
    def rules(self) -> frozenset[str]:
        """The names of the rules that the run has broken."""
        return frozenset(one.rule for one in self.broken)


def attempt(scenario: Scenario, seed: int) -> Tried:
    """Make one run; whatever it raises is an outcome too.

    Raises:
        BadInput: The simulation cannot do the scenario.
        KeyboardInterrupt: A signal asked for the end.
    """
    try:
        history = history_of(scenario, seed)
        found = broken(history, scenario)
        return Tried(outcome_of(history, scenario, found), tuple(found))
    except BadInput:
        raise
    except RunInvalid as error:
        return Tried(f"invalid: {nameless(str(error))}")
    except Exception as error:  # a run, or a check, that fails is what is searched for
        what = f"{place_of(error)}: {error!r}"
        return Tried(f"fails: {type(error).__name__}", (Broken(ERROR, what),))
