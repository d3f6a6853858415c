"""One run of a sweep: which scenario it is of, on which seed, and what it is called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crunchbed.experiments.sweep.space import Point
from crunchbed.scenario.schema import Scenario

_SAFE = re.compile(r"[^A-Za-z0-9.=_-]+")
_NAME_LENGTH = 80


@dataclass(frozen=True)
class Trial:
    """A scenario with a point's values in it, on one seed.

    Attributes:
        name: Of its directory: the same for the same trial, whenever it is made.
        point: What was varied.
        seed: Of the run.
        scenario: All of it, resolved.
    """

    name: str
    point: Point
    seed: int
    scenario: dict[str, Any] = field(repr=False, compare=False)


def trials_of(scenario: Scenario, points: Iterable[Point], seeds: Sequence[int]) -> list[Trial]:
    """Every point on every seed; all points on the first seed, then all on the next.

    Raises:
        BadInput: A key is unknown, or a value is refused; nothing was run.
    """
    variants = [(point, scenario.with_overrides(dict(point)).resolved()) for point in points]
    return [
        Trial(_name(point, seed), point, seed, resolved)
        for seed in seeds
        for point, resolved in variants
    ]


def _name(point: Point, seed: int) -> str:
    words = ",".join(f"{key}={value}" for key, value in point.items())
    name = _SAFE.sub("-", words).strip("-")
    if len(name) > _NAME_LENGTH or name != words.replace(",", "-"):
        mark = hashlib.sha256(words.encode()).hexdigest()[:8]
        name = f"{name[:_NAME_LENGTH]}-{mark}"
    return f"{name}-seed{seed}" if name else f"seed{seed}"
