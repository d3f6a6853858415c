"""What pydantic found wrong with a scenario, in the words of the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from crunchbed.scenario import detector, schema
from crunchbed.scenario.kinds import did_you_mean

_UNIONS: Final[Mapping[str, Mapping[str, type[BaseModel]]]] = {
    "crunch": {
        "writeback": schema.WritebackCrunch,
        "timed": schema.TimedCrunch,
        "flood": schema.FloodCrunch,
    },
    "detector": detector.MODELS,
}
"""Keys whose value is of one of several kinds, with the model of each."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong value: where it is, what was expected, what was got instead."""

    path: tuple[str | int, ...]
    expected: str
    got: str
    at_key: bool = False
    """Whether the key itself is wrong, rather than its value."""

    def __str__(self) -> str:
        return f"{dotted(self.path)}: expected {self.expected}, got {self.got}"


def dotted(path: tuple[str | int, ...]) -> str:
    """Return ``("expect", 0)`` as ``expect[0]``, and other paths joined by dots."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "scenario"


def problems(error: ValidationError) -> list[Problem]:
    """Return every problem; a key that contradicts another one is reported alone."""
    # A default that depends on a wrong value is nobody's mistake.
    return [
        _problem(details)
        for details in error.errors(include_url=False)
        if details["type"] != "default_factory_not_called"
    ]


def show(value: object) -> str:
    """Return a value as it is quoted in a message: one short line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    text = "true" if value is True else "false" if value is False else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _problem(details: Any) -> Problem:
    path, model = _located(tuple(details["loc"]))
    context = details.get("ctx", {})
    match details["type"]:
        case "scenario":
            path = _path(context["key"]) if "key" in context else path
            return Problem(path, context["expected"], context.get("got", show(details["input"])))
        case "extra_forbidden":
            known = _known_keys(model)
            hint = did_you_mean(path[-1], known)
            expected = f"one of the keys {', '.join(known)}"
            return Problem(path, expected, f"an unknown key{hint}", at_key=True)
        case "missing":
            return Problem(path, "a value for this key", "none")
        case "union_tag_not_found":
            return Problem(path, _mapping_with_kind(path), "no kind")
        case "union_tag_invalid":
            kind = details["input"].get("kind")
            known = list(_UNIONS[str(path[0])])
            expected = f"one of {', '.join(known)}{did_you_mean(kind, known)}"
            return Problem((*path, "kind"), expected, show(kind))
        case "model_type" | "model_attributes_type":
            if path[0] in _UNIONS:
                return Problem(path, _mapping_with_kind(path), show(details["input"]))
            _, own = _located((*details["loc"], ""))
            keys = ", ".join(_known_keys(own))
            return Problem(path, f"a mapping of {keys}", show(details["input"]))
    return Problem(path, str(details["msg"]), show(details["input"]))


def _path(key: str) -> tuple[str | int, ...]:
    """Return ``faults[0].for`` as ``("faults", 0, "for")``."""
    parts = re.findall(r"[^.\[\]]+", key)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _mapping_with_kind(path: tuple[str | int, ...]) -> str:
    return f"a mapping with kind: {' or '.join(_UNIONS[str(path[0])])}"


def _located(loc: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], type[BaseModel] | None]:
    """Return the path as the file has it, and the model that its last key is looked up in.

    Pydantic names the chosen kind in its path; the file does not.
    """
    model: type[BaseModel] | None = schema.Scenario
    path: list[str | int] = []
    union: Mapping[str, type[BaseModel]] | None = None
    for index, part in enumerate(loc):
        if union is not None and part in union:
            model, union = union[str(part)], None
            continue
        path.append(part)
        if len(path) == 1 and part in _UNIONS:
            model, union = None, _UNIONS[str(part)]
        elif union is None and model is not None and index < len(loc) - 1:
            model = _section(model, str(part))
    return tuple(path), model


def _section(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = model.model_fields.get(key)
    candidates = () if field is None else (field.annotation, *get_args(field.annotation))
    found = (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return next(found, None)


def _known_keys(model: type[BaseModel] | None) -> list[str]:
    fields = {} if model is None else model.model_fields
    return [field.alias or name for name, field in fields.items()]
