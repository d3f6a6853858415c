"""What differs between runs, and the command that makes them again. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from crunchbed.scenario.schema import Scenario

_MISSING = object()


def differences(scenarios: Mapping[str, Scenario]) -> list[tuple[str, list[str]]]:
    """The keys in which scenarios differ, each with a value for every one of them."""
    flat = [dict(_flat(one.resolved())) for one in scenarios.values()]
    keys = dict.fromkeys(key for one in flat for key in one)
    found = []
    for key in keys:
        values = [one.get(key, _MISSING) for one in flat]
        if any(value != values[0] for value in values):
            found.append((key, ["-" if value is _MISSING else _text(value) for value in values]))
    return found


def commands(scenarios: Mapping[str, Scenario], seeds: Sequence[int]) -> str:
    """The one command of a comparison of policies; else a run of the first seed for each."""
    name = next(iter(scenarios.values())).name
    if all(label == one.policy for label, one in scenarios.items()):
        policies = ",".join(scenarios)
        whole = list(seeds) == list(range(seeds[0], seeds[-1] + 1))
        chosen = f"--seeds {seeds[0]}..{seeds[-1]}" if whole else f"--seed {seeds[0]}"
        return f"crunchbed compare {name}.yaml --policies {policies} {chosen}"
    found = differences(scenarios)
    lines = []
    for index in range(len(scenarios)):
        changes = [
            f"--set {shlex.quote(f'{key}={values[index]}')}"
            for key, values in found
            if values[index] != "-"
        ]
        lines.append(" ".join([f"crunchbed run {name}.yaml --seed {seeds[0]}", *changes]))
    return "\n".join(lines)


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield from _flat(one, f"{above}{key}.")
        else:
            yield f"{above}{key}", one


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
