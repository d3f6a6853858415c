"""What pydantic found wrong with a scenario, in the words of the person who wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from crunchbed.scenario import schema
from crunchbed.scenario.kinds import did_you_mean

_CRUNCH = f"a mapping with kind: {' or '.join(schema.CRUNCH_KINDS)}"


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
    path = tuple(details["loc"])
    if len(path) > 1 and path[0] == "crunch" and path[1] in schema.CRUNCH_KINDS:
        kind = path[1]
        path = (
            "crunch",
            *path[2:],
        )  # pydantic names the chosen kind in the path; the file does not
    else:
        kind = None
    context = details.get("ctx", {})
    match details["type"]:
        case "scenario":
            path = tuple(context["key"].split(".")) if "key" in context else path
            return Problem(path, context["expected"], context.get("got", show(details["input"])))
        case "extra_forbidden":
            known = _known_keys(path[:-1], kind)
            hint = did_you_mean(path[-1], known)
            expected = f"one of the keys {', '.join(known)}"
            return Problem(path, expected, f"an unknown key{hint}", at_key=True)
        case "missing":
            return Problem(path, "a value for this key", "none")
        case "union_tag_not_found":
            return Problem(path, _CRUNCH, "no kind")
        case "union_tag_invalid":
            expected = f"one of {', '.join(schema.CRUNCH_KINDS)}"
            return Problem((*path, "kind"), expected, show(details["input"].get("kind")))
        case "model_type" | "model_attributes_type":
            if path == ("crunch",):
                return Problem(path, _CRUNCH, show(details["input"]))
            keys = ", ".join(_known_keys(path, kind))
            return Problem(path, f"a mapping of {keys}", show(details["input"]))
    return Problem(path, str(details["msg"]), show(details["input"]))


def _known_keys(path: tuple[str | int, ...], kind: str | int | None) -> list[str]:
    model: type[BaseModel] = schema.Scenario
    for part in path:
        if part == "crunch":
            model = schema.WritebackCrunch if kind == "writeback" else schema.TimedCrunch
        else:
            annotation = model.model_fields[str(part)].annotation
            candidates = (annotation, *get_args(annotation))
            model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
