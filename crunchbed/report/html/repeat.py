"""In which keys runs differ, and the commands that make the runs again. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson

from crunchbed.scenario.schema import Scenario

_MISSING = object()


def differences(scenarios: Mapping[str, Scenario]) -> list[tuple[str, list[str]]]:
    """Return the keys in which scenarios differ, each with the value of every scenario."""
    each = [dict(flat(one.resolved())) for one in scenarios.values()]
    keys = dict.fromkeys(key for one in each for key in one)
    found = []
    for key in keys:
        values = [one.get(key, _MISSING) for one in each]
        if any(value != values[0] for value in values):
            found.append((key, ["-" if value is _MISSING else text_of(value) for value in values]))
    return found


def commands(scenarios: Mapping[str, Scenario], seeds: Sequence[int]) -> str:
    """Return the commands that make all runs again; a single one where only policies differ."""
    name = next(iter(scenarios.values())).name
    if all(label == one.policy for label, one in scenarios.items()):
        each = [(",".join(scenarios), "")]
    else:
        found = differences(scenarios)
        each = [(one.policy, _changes(found, i)) for i, one in enumerate(scenarios.values())]
    return "\n".join(
        f"crunchbed compare {name}.yaml --policies {policies} --seeds {first}..{last}{changes}"
        for policies, changes in each
        for first, last in _in_a_row(seeds)
    )


def _changes(found: Sequence[tuple[str, list[str]]], index: int) -> str:
    return "".join(
        f" --set {shlex.quote(f'{key}={values[index]}')}"
        for key, values in found
        if key != "policy" and values[index] != "-"
    )


def _in_a_row(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each stretch without a gap; the seeds are sorted."""
    breaks = [index for index in range(1, len(seeds)) if seeds[index] > seeds[index - 1] + 1]
    edges = [0, *breaks, len(seeds)]
    return [(seeds[first], seeds[last - 1]) for first, last in pairwise(edges)]


def flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested mappings with its dotted key."""
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield from flat(one, f"{above}{key}.")
        else:
            yield f"{above}{key}", one


def text_of(value: object) -> str:
    """Return a setting's value as ``--set`` takes it."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
