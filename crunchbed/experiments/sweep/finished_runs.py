"""The finished runs of a sweep, read from its directory, and grouped by values of keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from crunchbed.checks.result import Result
from crunchbed.experiments.sweep.quantity import size_of
from crunchbed.experiments.sweep.space import parse_axes
from crunchbed.scenario.kinds import did_you_mean
from reserve_agent.errors import BadInput

Run = tuple[Mapping[str, str], Result]  # values of the keys that were varied, and the run's result


def runs_of(directory: Path) -> list[Run]:
    """Return every finished run of the sweep in a directory; BadInput where there is none."""
    found: list[Run] = []
    for path in sorted(directory.glob("runs/*/trial.json")):
        try:
            trial = orjson.loads(path.read_bytes())
            point = {str(key): str(value) for key, value in trial["point"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise BadInput(f"{path}: expected what was varied in a run of a sweep") from None
        found.append((point, Result.read(path.with_name("result.json"))))
    if not found:
        raise BadInput(f"{directory}: expected a sweep with finished runs; see crunchbed sweep")
    return found


def asked_order(asked: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return each key's values in the order of ``sweep.json``; BadInput where it has none."""
    return {axis.key: axis.values for axis in parse_axes(map(str, asked.get("vary", ())))}


def values_of(runs: Iterable[Run], key: str | None, asked: Sequence[str] = ()) -> list[str]:
    """Return the values of a key in the runs; BadInput where it was not varied.

    Quantities come first, from the smallest on; then words, in the order of ``asked``. Without a
    key there is one empty value.
    """
    if key is None:
        return [""]
    runs = list(runs)
    known = list(dict.fromkeys(name for point, _ in runs for name in point))
    if key not in known:
        hint = did_you_mean(key, known)
        raise BadInput(f"{key}: was not varied{hint}; varied: {', '.join(known) or 'nothing'}")
    values = dict.fromkeys(point[key] for point, _ in runs if key in point)
    places = {value: place for place, value in enumerate(asked)}
    return sorted(values, key=lambda value: _order(value, places))


def _order(value: str, places: Mapping[str, int]) -> tuple[float, int]:
    size = size_of(value)
    return (float("inf") if size is None else size, places.get(value, len(places)))


def where(runs: Sequence[Run], wanted: Mapping[str, str]) -> list[Result]:
    """Return the results of valid runs with the wanted values; an empty key is passed over."""
    return [
        result
        for point, result in runs
        if result.valid and all(point.get(key) == value for key, value in wanted.items() if key)
    ]
