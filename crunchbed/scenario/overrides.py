"""Sets single keys of a scenario that was already read, as ``--set KEY=VALUE`` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.scenario import yaml
from crunchbed.scenario.problems import show
from reserve_agent.errors import BadInput


def with_keys(resolved: dict[str, Any], overrides: Mapping[str, object]) -> dict[str, Any]:
    """Set dotted keys in the mapping, and return it; text is read as YAML.

    Raises:
        BadInput: a value is not YAML, or the key is of a section that is not there.
    """
    for key, value in overrides.items():
        parsed = yaml.load_text(value, f"override {key}") if isinstance(value, str) else value
        _set(resolved, key, parsed)
    return resolved


def _set(resolved: dict[str, Any], key: str, value: object) -> None:
    *parents, last = key.split(".")
    section = resolved
    for parent in parents:
        inner = section.get(parent)
        if not isinstance(inner, dict):
            got = f"one in {parent}, which this scenario sets to {show(inner)}"
            if parent not in section:
                got = "an unknown one"
            raise BadInput(f"override {key}: expected a key of the scenario, got {got}")
        section = inner
    section[last] = value
