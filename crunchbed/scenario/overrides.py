"""Sets single keys of a scenario that was already read, as ``--set KEY=VALUE`` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from crunchbed.scenario import yaml
from crunchbed.scenario.problems import problems, show
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput


def apply(scenario: Scenario, overrides: Mapping[str, object]) -> Scenario:
    """Return ``scenario`` with dotted keys set; see ``Scenario.with_overrides``."""
    resolved = scenario.resolved()
    if "port" not in scenario.block_io.model_fields_set:
        del resolved["block_io"]["port"]  # it follows the transport, which may be what is set
    for key, value in overrides.items():
        parsed = yaml.load_text(value, f"override {key}") if isinstance(value, str) else value
        _set(resolved, key, parsed)
    try:
        return Scenario.model_validate(resolved)
    except ValidationError as error:
        raise BadInput(f"override {problems(error)[0]}") from None


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
