"""What a sweep varies: axes, the points of the grid that axes span, and the runs at each point."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crunchbed.experiments.sweep.quantity import Range, parse_range
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

_SAFE = re.compile(r"[^A-Za-z0-9.=_-]+")
_NAME_LENGTH = 80

Point = Mapping[str, str]  # values by dotted key, each as text for a scenario


@dataclass(frozen=True)
class Axis:
    """One key with its values, or with the range that values are drawn from."""

    key: str  # dotted key of the scenario
    values: tuple[str, ...] = ()  # as YAML text; empty where there is a range
    range: Range | None = None  # the range, for a random sweep or a search


def parse_axis(text: str) -> Axis:
    """Return the axis in a text ``KEY=V,V`` or ``KEY=A..B``; BadInput where the text is neither."""
    key, equals, rest = text.partition("=")
    key, rest = key.strip(), rest.strip()
    if not (key and equals and rest):
        raise BadInput(f"--vary: expected KEY=VALUE,VALUE or KEY=A..B, got {text!r}")
    try:
        found = parse_range(rest)
    except BadInput as error:
        raise BadInput(f"--vary {key}: {error}") from None
    if found is not None:
        return Axis(key, range=found)
    values = tuple(_split(rest))
    if "" in values or len(set(values)) != len(values):
        raise BadInput(f"--vary {key}: expected values that differ, got {rest!r}")
    return Axis(key, values=values)


def parse_axes(texts: Iterable[str]) -> tuple[Axis, ...]:
    """Return the axes in several texts; BadInput where one is no axis, or a key is there twice."""
    axes = tuple(parse_axis(text) for text in texts)
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise BadInput(f"--vary {key}: expected each key once")
    return axes


def _split(text: str) -> Iterator[str]:
    """Split a text at commas outside of brackets: a value may be a list."""
    depth, start = 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip()


def grid(axes: Sequence[Axis]) -> list[Point]:
    """Return every combination, the last axis changing first; BadInput for an axis with a range."""
    for axis in axes:
        if axis.range is not None:
            raise BadInput(
                f"--vary {axis.key}: a range needs --random N or --find-threshold; "
                "a grid needs values, such as 10,20,40"
            )
    keys = [axis.key for axis in axes]
    return [
        dict(zip(keys, values, strict=True))
        for values in itertools.product(*(axis.values for axis in axes))
    ]


def sample(axes: Sequence[Axis], count: int, seed: int) -> list[Point]:
    """Return ``count`` different points, drawn from values and ranges, or all where less exist."""
    dice = random.Random(f"sweep:{seed}")  # noqa: S311 - repeatable, not secret
    points: dict[tuple[str, ...], Point] = {}
    for _ in range(count * 20):
        if len(points) == count:
            break
        point = {axis.key: _draw(axis, dice) for axis in axes}
        points.setdefault(tuple(point.values()), point)
    return list(points.values())


def _draw(axis: Axis, dice: random.Random) -> str:
    if axis.range is None:
        return dice.choice(axis.values)
    return axis.range.show(axis.range.at(dice.random()))


@dataclass(frozen=True)
class Trial:
    """A scenario with the values of a point, on one seed."""

    name: str  # name of the run's directory; the same trial always has the same name
    point: Point  # values of the keys that are varied
    seed: int
    scenario: dict[str, Any] = field(repr=False, compare=False)


def trials_of(scenario: Scenario, points: Iterable[Point], seeds: Sequence[int]) -> list[Trial]:
    """Return all points on one seed after another; BadInput where a key or value is refused."""
    variants = [(point, scenario.with_overrides(point).resolved()) for point in points]
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
