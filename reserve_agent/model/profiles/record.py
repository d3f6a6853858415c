"""A profile as a record: what a profile file has, and how it is read. Pure.

Every field of ``Kernel`` and ``Card`` is a constant by its place, such as ``floors.atomic``. Shares
are text such as ``3/8``, kinds are their names in lower case, and sets are sorted lists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from reserve_agent.contract.packets import PAGE_BYTES
from reserve_agent.errors import BadInput
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel, Ratio

FORMAT: Final = 1
_OF_FILE: Final = ("name", "version", "measured")
"""Fields of a profile that are no constants."""
_KEYS: Final = ("format", "kernel", "card", "also_measured")
_PART_KEYS: Final = ("name", "release", "version", "base", "constants")
_ENTRY_KEYS: Final = ("value", "source", "repeats", "spread", "seen")
_MOST_SLOTS: Final = 65536
_BOUNDS: Final = {
    "ring": (1, _MOST_SLOTS),
    "batch": (1, _MOST_SLOTS),
    "buffer_bytes": (1, PAGE_BYTES),
    "buffers.small_bytes": (1, PAGE_BYTES),
    "buffers.heads_per_page": (1, PAGE_BYTES),
}
"""Least and most of numbers that others are divided by or counted to."""
_EXPECTED: Final[dict[type, str]] = {int: "a whole number, 0 or more", bool: "true or false"}


@dataclass(frozen=True)
class Profile:
    """The constants of one kernel with one card."""

    kernel: Kernel
    card: Card


def constants(profile: Profile) -> dict[str, Any]:
    """Return every constant by its place, such as ``kernel.floors.atomic`` or ``card.ring``."""
    return {
        f"{part}{key}": value
        for part, whole in (("kernel", profile.kernel), ("card", profile.card))
        for key, value in _leaves(whole).items()
    }


def _leaves(value: Any) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, Ratio):
        return {"": value}
    return {
        f".{field.name}{key}": leaf
        for field in fields(value)
        if field.name not in _OF_FILE
        for key, leaf in _leaves(getattr(value, field.name)).items()
    }


def written(value: Any) -> Any:
    """Return a constant as a file has it."""
    if isinstance(value, Ratio):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Enum):
        return value.name.lower()
    return sorted(value) if isinstance(value, frozenset) else value


def record_of(profile: Profile) -> dict[str, Any]:
    """Return a profile as a file has it, with the values alone: ``profile_of`` reads it again."""
    parts: dict[str, dict[str, Any]] = {"kernel": {}, "card": {}}
    for key, value in constants(profile).items():
        part, _, name = key.partition(".")
        parts[part][name] = {"value": written(value)}
    kernel, card = profile.kernel, profile.card
    return {
        "format": FORMAT,
        "kernel": {
            "name": kernel.name,
            "version": kernel.version,
            "constants": parts["kernel"],
        },
        "card": {"name": card.name, "constants": parts["card"]},
    }


def profile_of(record: object, where: str) -> Profile:
    """Return the profile that a file's content describes.

    Args:
        record: Its content.
        where: The file, for errors.

    Raises:
        BadInput: One line with the file, the key and what was expected.
    """
    whole = _mapping(record, where, "")
    if whole.get("format") != FORMAT:
        raise _wrong(where, "format", f"{FORMAT}", whole.get("format"))
    _known(whole, _KEYS, where)
    made: dict[str, Any] = {}
    for part, kind in (("kernel", Kernel), ("card", Card)):
        told = _mapping(whole.get(part), where, part)
        _known(told, _PART_KEYS, f"{where}: {part}", ".")
        name = _text(told.get("name"), where, f"{part}.name")
        left = dict(_mapping(told.get("constants"), where, f"{part}.constants"))
        own = {"name": name, "measured": where}
        if kind is Kernel:
            own["version"] = _text(told.get("version"), where, "kernel.version")
        made[part] = _build(kind, left, "", own, f"{where}: {part}.constants")
        if left:
            first = min(map(str, left))
            raise BadInput(f"{where}: {part}.constants.{first}: no such constant of a {part}")
    return Profile(**made)


def _build(
    kind: type, left: dict[str, Any], prefix: str, own: Mapping[str, Any], place: str
) -> Any:
    """Make a part of a profile out of the constants below ``prefix``, and take them away."""
    hints = get_type_hints(kind)
    values = dict(own)
    for field in fields(kind):
        hint, key = hints[field.name], prefix + field.name
        if field.name in own:
            continue
        if get_origin(hint) is UnionType and NoneType in get_args(hint) and key not in left:
            hint = next(one for one in get_args(hint) if one is not NoneType)
        if is_dataclass(hint) and hint is not Ratio and isinstance(hint, type):
            values[field.name] = _build(hint, left, f"{key}.", {}, place)
        else:
            values[field.name] = _constant(left, key, hint, place)
    return kind(**values)


def _constant(left: dict[str, Any], key: str, hint: Any, place: str) -> Any:
    if key not in left:
        raise BadInput(f"{place}.{key}: expected a constant, found none")
    entry = _mapping(left.pop(key), place, f".{key}", joint="")
    _known(entry, _ENTRY_KEYS, f"{place}.{key}", ".")
    if "value" not in entry:
        raise BadInput(f"{place}.{key}.value: expected a value, found none")
    value = _value(entry["value"], hint, f"{place}.{key}.value")
    least, most = _BOUNDS.get(key, (None, None))
    if least is not None and not least <= value <= most:
        raise BadInput(f"{place}.{key}.value: expected {least} to {most}, got {value}")
    return value


def _value(value: Any, hint: Any, place: str) -> Any:
    if get_origin(hint) is UnionType:
        if value is None:
            return None
        hint = next(one for one in get_args(hint) if one is not NoneType)
    if hint is Ratio:
        return _ratio(value, place)
    if isinstance(hint, type) and issubclass(hint, Enum):
        names = {one.name.lower(): one for one in hint}
        if not isinstance(value, str) or value not in names:
            raise BadInput(f"{place}: expected one of {', '.join(names)}, got {value!r}")
        return names[value]
    if get_origin(hint) is frozenset:
        if not isinstance(value, list) or not all(type(one) is int for one in value):
            raise BadInput(f"{place}: expected a list of whole numbers or null, got {value!r}")
        return frozenset(value)
    if type(value) is not hint or (hint is int and value < 0):
        what = _EXPECTED.get(hint, "null")
        raise BadInput(f"{place}: expected {what}, got {value!r}")
    return value


def _ratio(value: Any, place: str) -> Ratio:
    parts = value.split("/") if isinstance(value, str) else []
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        numerator, denominator = map(int, parts)
        if numerator <= denominator > 0:
            return Ratio(numerator, denominator)
    raise BadInput(f'{place}: expected a share of at most 1, such as "3/8", got {value!r}')


def _mapping(value: object, where: str, key: str, joint: str = ": ") -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    place = f"{where}{joint}{key}" if key else where
    raise BadInput(f"{place}: expected an object, got {value!r}")


def _known(told: Mapping[str, Any], keys: Collection[str], where: str, joint: str = ": ") -> None:
    for key in told:
        if key not in keys:
            raise BadInput(f"{where}{joint}{key}: expected one of {', '.join(keys)}")


def _text(value: object, where: str, key: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise _wrong(where, key, "a text", value)


def _wrong(where: str, key: str, expected: str, got: object) -> BadInput:
    return BadInput(f"{where}: {key}: expected {expected}, got {got!r}")
