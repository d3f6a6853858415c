"""Which cells are run: scenarios with policies, flags, cards and seeds, on which backends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from crunchbed.backends import backend_of
from crunchbed.experiments import matrix
from crunchbed.scenario.loader import load, shipped
from crunchbed.scenario.profiles import unknown_profile
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

OWN: Final = "own"
"""What each scenario says itself: its flags, its card, the profile of its kernel."""
REAL: Final = "machines"
"""The backend whose memory is a kernel's, and follows no model."""
_NO_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Column:
    """What a cell is run on: a backend, and the model of its memory."""

    backend: str
    model: str = OWN

    @property
    def name(self) -> str:
        """As in tables and records."""
        return self.backend if self.model == OWN else f"{self.backend} by {self.model}"

    @property
    def folder(self) -> str:
        """The directory of its run, in that of the cell."""
        return _NO_FILE_NAME.sub("-", self.name.replace(" by ", "-")).strip(".-")

    def of(self, scenario: Scenario) -> Scenario:
        """Return the scenario as it is run here; BadInput where there is no such model."""
        changes = {"cluster.backend": self.backend}
        if self.model != OWN:
            changes["memory.kernel"] = self.model
        made = scenario.with_overrides(changes)
        if self.model != OWN and (wrong := next(unknown_profile(made.memory), None)):
            raise BadInput(f"--models: {wrong}")
        return made

    def refuses(self, scenario: Scenario) -> str | None:
        """Return why a scenario cannot be run here, in one line; None where it can."""
        try:
            scenario.with_overrides({"cluster.backend": self.backend})
        except BadInput as error:  # it has keys or expectations that this backend cannot have
            return str(error).removeprefix("override ")
        made = self.of(scenario)
        return "; ".join(backend_of(made).refuses(made, hold=False)) or None


def columns_of(backends: Sequence[str], models: Sequence[str]) -> tuple[Column, ...]:
    """Return each backend with each model; a kernel of its own has none."""
    return tuple(
        Column(backend, model)
        for backend in backends
        for model in (models if backend != REAL else (OWN,))
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """One cell before it is run."""

    name: str
    scenario: Scenario
    seed: int

    @property
    def nic(self) -> str | None:
        """The card; None where the scenario's memory knows none."""
        memory = self.scenario.memory
        return memory.nic if memory.says_machine else None

    @property
    def words(self) -> tuple[str, str, str, str, str]:
        """Scenario, policy, flags, card and seed, as in a table."""
        scenario = self.scenario
        flags = "+".join(scenario.memalloc) or "none"
        return self.name, scenario.policy, flags, self.nic or "no-card", str(self.seed)

    @property
    def place(self) -> Path:
        """The cell's directory in that of all cells."""
        name, *others = self.words
        return Path(name, "-".join(others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Cells to be run.

    Attributes:
        names: Scenarios; empty: all shipped ones that two of the columns can run.
        columns: What each cell is run on.
        overrides: Keys that are changed in all of them.
        policies: Returns those that a scenario is run under.
        settings: Names of flag settings; empty: each scenario's own.
        cards: Empty: each scenario's own.
        seeds: The same on all columns.
    """

    columns: tuple[Column, ...]
    policies: Callable[[Scenario], Sequence[str]]
    names: tuple[str, ...] = ()
    overrides: Mapping[str, object] = field(default_factory=dict)
    settings: Sequence[str] = ()
    cards: Sequence[str] = ()
    seeds: range = range(1, 2)

    def cells(self) -> tuple[list[Asked], list[str]]:
        """Return the cells, and a line for each that fewer than two columns can run.

        A scenario that was named is run on what can run it.

        Raises:
            BadInput: A scenario or a key is wrong, or there is no cell at all.
        """
        found: list[Asked] = []
        left_out: list[str] = []
        for name in self.names or shipped():
            try:
                variants = list(self._variants(load(name)))
            except BadInput as error:
                if self.names:
                    raise
                left_out.append(f"{name}: {error}")  # a changed key does not go with its others
                continue
            refusals = [self._refusals(one) for one in variants]
            able = [len(self.columns) - len(refused) for refused in refusals]
            for variant, refused, here in zip(variants, refusals, able, strict=True):
                if here > 1 or self.names:
                    found += [Asked(variant.name, variant, seed) for seed in self.seeds]
                else:
                    of = variant.name if max(able) < 2 else f"{variant.name}, {variant.policy}"
                    left_out += [f"{of}: {column}: {why}" for column, why in refused.items()]
        if not found:
            first = f": {left_out[0]}" if left_out else ""
            raise BadInput(f"no shipped scenario can be run on two of these backends{first}")
        return found, list(dict.fromkeys(left_out))

    def _refusals(self, scenario: Scenario) -> dict[str, str]:
        told = ((column.name, column.refuses(scenario)) for column in self.columns)
        return {name: why for name, why in told if why is not None}

    def _variants(self, loaded: Scenario) -> Iterator[Scenario]:
        """Yield a scenario with each policy, flag setting and card."""
        base = loaded.with_overrides(self.overrides) if self.overrides else loaded
        cards: Sequence[str | None] = self.cards or [self._card(base)]
        for policy in self.policies(base):
            for setting in self.settings or [OWN]:
                for card in cards:
                    changes: dict[str, Any] = {"policy": policy}
                    if card is not None:
                        changes["memory.nic"] = card
                    if setting != OWN:
                        changes |= matrix.flags_of(setting)
                    changed = base.with_overrides(changes)
                    if changed.memalloc != base.memalloc:
                        # What a scenario expects holds for its own flag setting alone.
                        changed = changed.with_overrides({"expect": []})
                    yield changed

    def _card(self, scenario: Scenario) -> str | None:
        """The card that a scenario says; where machines are asked it has one in any case."""
        memory = scenario.memory
        real = any(column.backend == REAL for column in self.columns)
        return memory.nic if real or memory.says_machine else None
