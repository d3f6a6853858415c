"""What a sweep is asked for: the whole of it, so that it can be gone on with."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from crunchbed.checks.figures import NAMES
from crunchbed.experiments.sweep.space import Axis, Point, grid, parse_axes, sample
from crunchbed.experiments.sweep.threshold import DEFAULT_TOLERANCE
from crunchbed.scenario.kinds import did_you_mean
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
"""What a summary shows unless it is asked for something else."""


class Request(BaseModel):
    """A sweep, as ``sweep.json`` has it.

    Attributes:
        scenario: Resolved, without expectations: they hold for its own settings alone.
        vary: Axes, as the command line has them.
        seeds: Of the runs at each point.
        random: How many points to draw; None for all of the grid.
        random_seed: What they are drawn with.
        find: The figure whose threshold is looked for; None for no search.
        tolerance: Share within which a threshold is wanted.
        confirm: Runs on either side of a threshold, on further seeds.
        figures: Of the summary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: dict[str, Any]
    vary: tuple[str, ...]
    seeds: tuple[int, ...]
    random: int | None = None
    random_seed: int = 1
    find: str | None = None
    tolerance: float = DEFAULT_TOLERANCE
    confirm: int = 0
    figures: tuple[str, ...] = FIGURES

    @classmethod
    def of(cls, asked: object, where: str) -> Self:
        """Read what ``sweep.json`` has; ``where`` is named if it makes no sense.

        Raises:
            BadInput: It makes none.
        """
        try:
            return cls.model_validate(asked)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"{where}: {key}: {first['msg']}") from None

    def check(self) -> None:
        """Say what is wrong before anything is run.

        Raises:
            BadInput: An unknown figure, or axes that do not go with what is wanted.
        """
        for name in (*self.figures, *((self.find,) if self.find else ())):
            if name not in NAMES:
                hint = did_you_mean(name, NAMES)
                raise BadInput(f"unknown figure {name!r}{hint}; known: {', '.join(NAMES)}")
        ranges = [axis.key for axis in self.axes if axis.range is not None]
        if self.find is not None and (len(ranges) != 1 or self.random is not None):
            raise BadInput(
                "--find-threshold: expected exactly one --vary KEY=A..B to search along, and no "
                f"--random; got {len(ranges)}"
            )

    @property
    def base(self) -> Scenario:
        """The scenario that is varied.

        Raises:
            BadInput: This version refuses it, as it may that of an older sweep.
        """
        return Scenario.of(self.scenario, "the sweep's scenario: ")

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What is varied."""
        return parse_axes(self.vary)

    @property
    def line(self) -> Axis:
        """The axis that a threshold is looked for along."""
        return next(axis for axis in self.axes if axis.range is not None)

    @property
    def points(self) -> list[Point]:
        """The points of the sweep; for a search, those that each have one of their own."""
        if self.find is not None:
            return grid([axis for axis in self.axes if axis.range is None])
        if self.random is not None:
            return sample(self.axes, self.random, self.random_seed)
        return grid(self.axes)

    @property
    def known_points(self) -> list[Point]:
        """Points that are run for certain: of a search those at both ends."""
        if self.find is None or self.line.range is None:
            return self.points
        key, span = self.line.key, self.line.range
        return [
            {**point, key: span.show(end)} for point in self.points for end in (span.low, span.high)
        ]
