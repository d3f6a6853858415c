"""One run of a sweep: its scenario, its seed, and its name."""

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
    """A scenario with the values of a point, on one seed."""

    name: str  # name of the run's directory; the same trial always has the same name
    point: Point  # values of the keys that are varied
    seed: int
    scenario: dict[str, Any] = field(repr=False, compare=False)


def trials_of(scenario: Scenario, points: Iterable[Point], seeds: Sequence[int]) -> list[Trial]:
    """Return all points on one seed after another; BadInput where a key or value is refused."""
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
