"""What a sweep is asked for: all of it, so that the sweep can be resumed."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ValidationError

from crunchbed.checks.figures import NAMES
from crunchbed.experiments.sweep.space import Axis, Point, grid, parse_axes, sample
from crunchbed.experiments.sweep.threshold import DEFAULT_TOLERANCE
from crunchbed.scenario.kinds import require_known
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

FIGURES = (
    "nodes_ejected",
    "false_ejections",
    "heartbeats_missed",
    "io_longest_stall_seconds",
    "pressure_seconds",
    "reserve_low_water_pages",
)
"""Figures of a summary, unless others are asked for."""


class Request(BaseModel, frozen=True, extra="forbid"):
    """A sweep, as ``sweep.json`` has it."""

    scenario: dict[str, Any]  # resolved; without expectations, which hold for its settings alone
    vary: tuple[str, ...]  # axes, as the command line has them
    seeds: tuple[int, ...]  # seeds of the runs at each point
    random: int | None = None  # how many points to draw; None for all points of the grid
    random_seed: int = 1
    find: str | None = None  # the figure whose threshold is searched for; None for no search
    tolerance: float = DEFAULT_TOLERANCE  # share of a threshold within which it is wanted
    confirm: int = 0  # number of further seeds that confirm a threshold
    figures: tuple[str, ...] = FIGURES

    @classmethod
    def of(cls, asked: object, where: str) -> Self:
        """Return the content ``asked`` of the file ``where``; BadInput where it makes no sense."""
        try:
            return cls.model_validate(asked)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"{where}: {key}: {first['msg']}") from None

    def check(self) -> None:
        """Refuse by BadInput unknown figures, and axes along which no search or draw can go."""
        for name in (*self.figures, *((self.find,) if self.find else ())):
            require_known(name, NAMES, "figure")
        ranges = [axis.key for axis in self.axes if axis.range is not None]
        if self.find is not None and (len(ranges) != 1 or self.random is not None):
            raise BadInput(
                "--find-threshold: expected exactly one --vary KEY=A..B to search along, and no "
                f"--random; got {len(ranges)}"
            )

    @property
    def base(self) -> Scenario:
        """The scenario that is varied; BadInput where this version refuses it."""
        return Scenario.of(self.scenario, "the sweep's scenario: ")

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes that are varied."""
        return parse_axes(self.vary)

    @property
    def line(self) -> Axis:
        """The axis along which a threshold is searched for."""
        return next(axis for axis in self.axes if axis.range is not None)

    @property
    def points(self) -> list[Point]:
        """The points of the sweep; of a search, the points that have a search each."""
        if self.find is not None:
            return grid([axis for axis in self.axes if axis.range is None])
        if self.random is not None:
            return sample(self.axes, self.random, self.random_seed)
        return grid(self.axes)

    @property
    def known_points(self) -> list[Point]:
        """The points that are run in any case; of a search those at both ends of the range."""
        if self.find is None or self.line.range is None:
            return self.points
        key, span = self.line.key, self.line.range
        return [
            {**point, key: span.show(end)} for point in self.points for end in (span.low, span.high)
        ]
