"""What pydantic found wrong with a scenario, in the words of the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from crunchbed.scenario.kinds import did_you_mean

Model = type[BaseModel]


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


def problems(error: ValidationError, root: Model) -> list[Problem]:
    """Return every problem of the model ``root``, in which pydantic has found ``error``.

    Keys that do not go together are problems where each key alone is right.
    """
    # A default that depends on a wrong value is no mistake of its own.
    listed: list[Problem] = []
    for details in error.errors(include_url=False):
        if details["type"] == "contradictions":
            found = details["ctx"]["found"]
            listed += (Problem(path_of(key), expected, got) for key, expected, got in found)
        elif details["type"] != "default_factory_not_called":
            listed.append(_problem(details, root))
    return listed


def show(value: object) -> str:
    """Return a value as it is quoted in a message: one short line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    text = "true" if value is True else "false" if value is False else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _problem(details: Any, root: Model) -> Problem:
    path, model = _located(tuple(details["loc"]), root)
    context = details.get("ctx", {})
    known_kinds = list(_kinds(root, str(path[0]))) if path else []
    match details["type"]:
        case "scenario":
            return Problem(path, context["expected"], context.get("got", show(details["input"])))
        case "extra_forbidden":
            known = _known_keys(model)
            hint = did_you_mean(path[-1], known)
            expected = f"one of the keys {', '.join(known)}"
            return Problem(path, expected, f"an unknown key{hint}", at_key=True)
        case "missing":
            return Problem(path, "a value for this key", "none")
        case "union_tag_not_found":
            return Problem(path, _mapping_with_kind(known_kinds), "no kind")
        case "union_tag_invalid":
            kind = details["input"].get("kind")
            expected = f"one of {', '.join(known_kinds)}{did_you_mean(kind, known_kinds)}"
            return Problem((*path, "kind"), expected, show(kind))
        case "model_type" | "model_attributes_type":
            if known_kinds:
                return Problem(path, _mapping_with_kind(known_kinds), show(details["input"]))
            _, own = _located((*details["loc"], ""), root)
            keys = ", ".join(_known_keys(own))
            return Problem(path, f"a mapping of {keys}", show(details["input"]))
    return Problem(path, str(details["msg"]), show(details["input"]))


def path_of(key: str) -> tuple[str | int, ...]:
    """Return ``faults[0].for`` as ``("faults", 0, "for")``."""
    parts = re.findall(r"[^.\[\]]+", key)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _mapping_with_kind(known_kinds: list[str]) -> str:
    return f"a mapping with kind: {' or '.join(known_kinds)}"


def _located(loc: tuple[str | int, ...], root: Model) -> tuple[tuple[str | int, ...], Model | None]:
    """Return the path as the file has it, and the model that its last key is looked up in.

    Pydantic names the chosen kind in its path; the file does not.
    """
    model: Model | None = root
    path: list[str | int] = []
    of_kind: Mapping[str, Model] = {}
    for index, part in enumerate(loc):
        if part in of_kind:
            model, of_kind = of_kind[str(part)], {}
            continue
        path.append(part)
        if model is not None and index < len(loc) - 1:
            of_kind = _kinds(model, str(part))
            model = None if of_kind else next(_models_of(model, str(part)), None)
    return tuple(path), model


@cache
def _kinds(model: Model, key: str) -> Mapping[str, Model]:
    """Return the models of a key whose value is of one of several kinds, by kind; else none."""
    models = _models_of(model, key)
    return {
        get_args(each.model_fields["kind"].annotation)[0]: each
        for each in models
        if "kind" in each.model_fields
    }


def _models_of(model: Model, key: str) -> Iterator[Model]:
    field = model.model_fields.get(key)
    return iter(()) if field is None else _models_in(field.annotation)


def _models_in(annotation: object) -> Iterator[Model]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _known_keys(model: Model | None) -> list[str]:
    fields = {} if model is None else model.model_fields
    return [field.alias or name for name, field in fields.items()]
