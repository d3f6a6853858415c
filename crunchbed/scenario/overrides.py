"""Sets single keys of a scenario that was already read, as ``--set KEY=VALUE`` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.scenario import yaml
from crunchbed.scenario.problems import path_of, show
from crunchbed.scenario.profile_file import KEY, with_profile
from reserve_agent.errors import BadInput


def with_keys(resolved: dict[str, Any], overrides: Mapping[str, object]) -> dict[str, Any]:
    """Set dotted keys in the mapping; text is read as YAML. Returns the mapping as it is then.

    An item of a list is named by its number: ``faults[0].for``. Whichever key says it, a profile
    file is read, from the working directory.

    Raises:
        BadInput: a value is not YAML, the key is of a section or an item that is not there, or
            ``memory.kernel`` names a file that cannot be read or is no profile.
    """
    for key, value in overrides.items():
        parsed = yaml.load_text(value, f"override {key}") if isinstance(value, str) else value
        _set(resolved, key, parsed)
    try:
        return with_profile(resolved)
    except BadInput as error:
        raise BadInput(f"override {'.'.join(KEY)}: {error}") from None


def _set(resolved: dict[str, Any], key: str, value: object) -> None:
    *parents, last = path_of(key) or (key,)
    section: Any = resolved
    for index, parent in enumerate(parents):
        inner = _within(section, parent, key)
        if not isinstance(inner, dict | list) or isinstance(inner, list) != isinstance(
            [*parents, last][index + 1], int
        ):
            got = f"one in {parent}, which this scenario sets to {show(inner)}"
            raise BadInput(f"override {key}: expected a key of the scenario, got {got}")
        section = inner
    if isinstance(last, int):
        _within(section, last, key)
    section[last] = value


def _within(section: Any, part: str | int, key: str) -> object:
    """Return the value of one part of a key in the section, or the list, that it is of."""
    if isinstance(section, list):
        count = len(section)
        if not isinstance(part, int) or part >= count:
            known = f"an item from [0] to [{count - 1}]" if count else "no item of an empty list"
            raise BadInput(f"override {key}: expected {known}, got [{part}]")
        return section[part]
    if part not in section:
        raise BadInput(f"override {key}: expected a key of the scenario, got an unknown one")
    return section[part]
