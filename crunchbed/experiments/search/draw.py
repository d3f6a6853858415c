"""Drawing whole schedules within bounds: new ones, and those that differ a little from others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from crunchbed.backends import backend_of
from crunchbed.experiments.search.schedule import Keys, Schedule
from crunchbed.experiments.search.values import CRUNCHES, FAULTS, STEP_NS, length, moment
from crunchbed.faults.kinds import MODELS
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import duration_ns, format_duration
from reserve_agent.errors import BadInput

OVER: Final = ("faults", "times", "seeds")
"""What a search may change."""
MOST_FAULTS: Final = 20
_TRIES: Final = 200
"""Draws in a row that may contradict the scenario."""
_LATEST_SEED: Final = 2**31 - 1
_OWN: Final = 0.3
"""Share of the new schedules that begin with the scenario's own faults."""
_NEAR: Final = 0.4
"""Share of the faults that begin about when something else happens."""
_LEAST_NS: Final = 5 * STEP_NS


@dataclass(frozen=True)
class Bounds:
    """What schedules are drawn from.

    Attributes:
        over: Which of ``OVER`` are drawn; what is not drawn is as the scenario says.
        kinds: Kinds of faults.
        most: How many faults there are in one schedule at most.
        seed: The seed of every run where seeds are not drawn.
    """

    over: frozenset[str]
    kinds: tuple[str, ...]
    most: int
    seed: int


class Drawer:
    """Draws schedules for one scenario; the same dice draw the same ones."""

    def __init__(self, base: Scenario, bounds: Bounds, dice: random.Random) -> None:
        self._base = base
        self._bounds = bounds
        self._dice = dice
        self._own = Schedule.of(base, bounds.seed)
        self._kinds = tuple(kind for kind in bounds.kinds if self._goes(kind))
        if "faults" in bounds.over and not self._kinds:
            raise BadInput(
                f"--kinds: none of {', '.join(bounds.kinds)} goes with {base.name} simulated"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of faults that go with the scenario."""
        return self._kinds

    def new(self) -> Schedule:
        """Return a schedule that is drawn anew."""
        return self._fitting(self._drawn)

    def like(self, other: Schedule) -> Schedule:
        """Return a schedule that differs from another one in one thing, or two."""

        def changed() -> Schedule:
            schedule = other
            for _ in range(self._dice.choice((1, 1, 2))):
                schedule = self._dice.choice(list(self._changes(schedule)))(schedule)
            return schedule

        return self._fitting(changed)

    # --- whether they go together

    def _goes(self, kind: str) -> bool:
        """Return whether faults of a kind can go with the scenario, and are simulated."""
        alone = replace(self._own, faults=())
        return any(self._takes(replace(alone, faults=(self._fault(kind, ()),))) for _ in range(20))

    def _takes(self, schedule: Schedule) -> bool:
        try:
            scenario = schedule.of_scenario(self._base)
        except BadInput:
            return False
        return not backend_of(scenario).refuses(scenario, hold=False)

    def _fitting(self, draw: Callable[[], Schedule]) -> Schedule:
        for _ in range(_TRIES):
            schedule = draw()
            if self._takes(schedule):
                return schedule
        return self._own

    # --- drawing

    def _drawn(self) -> Schedule:
        over, dice = self._bounds.over, self._dice
        schedule = replace(self._own, seed=self._seed())
        if "faults" in over:
            faults = list(schedule.faults) if dice.random() < _OWN else []
            for _ in range(dice.randint(1, self._bounds.most) - len(faults)):
                faults.append(self._fault(dice.choice(self._kinds), faults))
            schedule = replace(schedule, crunch=self._crunch(), faults=tuple(faults))
        elif "times" in over:
            for index in range(len(schedule.faults)):
                schedule = self._retime(schedule, index)
        return schedule

    def _seed(self) -> int:
        drawn = "seeds" in self._bounds.over
        return self._dice.randint(1, _LATEST_SEED) if drawn else self._bounds.seed

    def _fault(self, kind: str, others: Sequence[Keys]) -> Keys:
        keys = {"kind": kind, **FAULTS[kind](self._dice, self._base)}
        return keys | self._times(kind, others) if "times" in self._bounds.over else keys

    def _times(self, kind: str, others: Sequence[Keys]) -> dict[str, Any]:
        """Draw when a fault begins, and how long it lasts where its kind has a length."""
        dice, inject = self._dice, self._base.phases.inject
        model = MODELS[kind].model_fields
        times: dict[str, Any] = {}
        if "length" in model and (kind != "node-crash" or dice.random() < 0.5):
            times["for"] = length(dice, _LEAST_NS, inject - STEP_NS)
        latest = inject - (duration_ns(times["for"]) if times else 0)
        near = list(self._moments(others)) if dice.random() < _NEAR else []
        begin = dice.choice(near) + dice.randint(-10, 10) * STEP_NS if near else -1
        if 0 <= begin <= latest:
            return {"after": format_duration(begin), **times}
        return {"after": moment(dice, 0, latest), **times}

    def _moments(self, faults: Sequence[Keys]) -> Iterator[int]:
        """Yield when something happens by these faults: begins, ends, deadlines, reboots."""
        deadline, reboot = self._base.removal_ns, self._base.fencing.reboot_delay
        for keys in faults:
            begin = duration_ns(str(keys.get("after", "1s")))
            yield from (begin, begin + deadline, begin + deadline + reboot)
            if keys.get("for"):
                yield begin + duration_ns(str(keys["for"]))

    def _crunch(self) -> Keys | None:
        """Draw the scenario's own crunch, none, or another one."""
        dice = self._dice
        which = dice.random()
        if which < 0.4:
            return self._own.crunch
        if which < 0.6:
            return None
        kind = dice.choice(tuple(CRUNCHES))
        keys = {"kind": kind, "jitter": "0s", **CRUNCHES[kind](dice, self._base)}
        if "times" in self._bounds.over:
            keys["jitter"] = moment(dice, 0, self._base.phases.inject // 4)
        return keys

    # --- changing

    def _changes(self, schedule: Schedule) -> Iterator[Callable[[Schedule], Schedule]]:
        over, count = self._bounds.over, len(schedule.faults)
        if "seeds" in over:
            yield lambda one: replace(one, seed=self._seed())
        if "times" in over and count:
            yield self._retimed
        if "faults" in over:
            yield lambda one: replace(one, crunch=self._crunch())
            yield self._more
            if count:
                yield self._fewer
                yield self._revalued
        if not over:
            yield lambda one: one

    def _retimed(self, schedule: Schedule) -> Schedule:
        return self._retime(schedule, self._place(schedule))

    def _retime(self, schedule: Schedule, place: int) -> Schedule:
        if not schedule.faults:
            return schedule
        keys, others = schedule.faults[place], schedule.without(place).faults
        times = self._times(keys["kind"], others)
        once: Mapping[str, Any] = {"jitter": "0s"} if "jitter" in keys else {}
        rest = {key: value for key, value in keys.items() if key not in ("after", "for")}
        return schedule.with_fault(place, {**rest, **once, **times})

    def _more(self, schedule: Schedule) -> Schedule:
        if len(schedule.faults) >= self._bounds.most:
            return self._revalued(schedule)
        one = self._fault(self._dice.choice(self._kinds), schedule.faults)
        return replace(schedule, faults=(*schedule.faults, one))

    def _fewer(self, schedule: Schedule) -> Schedule:
        return schedule.without(self._place(schedule)) if schedule.faults else schedule

    def _revalued(self, schedule: Schedule) -> Schedule:
        """Draw a fault's values again; its kind and its times stay."""
        if not schedule.faults:
            return schedule
        place = self._place(schedule)
        keys = schedule.faults[place]
        if keys["kind"] not in FAULTS:
            return schedule
        times = {key: keys[key] for key in ("after", "for") if keys.get(key) is not None}
        values = FAULTS[keys["kind"]](self._dice, self._base)
        return schedule.with_fault(place, {"kind": keys["kind"], **values, **times})

    def _place(self, schedule: Schedule) -> int:
        return self._dice.randrange(max(1, len(schedule.faults)))
