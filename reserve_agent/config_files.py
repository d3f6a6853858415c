"""A process's configuration file: a dataclass, as JSON.

The run writes these files, so they are checked only as far as a mistake would otherwise be hard
to find. Plain dataclasses: importing pydantic would double a daemon's start-up time, and a run may
start 32 of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import IntEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import orjson

from reserve_agent.errors import BadInput

T = TypeVar("T")


def write_config(path: Path, config: object) -> None:
    """Write the file that ``read_config`` reads."""
    path.write_bytes(orjson.dumps(config, default=_plain, option=orjson.OPT_INDENT_2))


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def read_config(path: Path, model: type[T]) -> T:
    """Return the configuration in a JSON file.

    Raises:
        BadInput: It cannot be read, or has an unknown, missing or impossible setting.
    """
    try:
        return build(orjson.loads(path.read_bytes()), model)
    except (OSError, ValueError, TypeError, KeyError, BadInput) as error:
        raise BadInput(f"{path}: {error}") from error


def build(record: Any, model: type[T]) -> T:
    """Return the dataclass that a JSON object describes, its fields by their types.

    A field may name its own reader in its metadata, as ``read``.

    Raises:
        BadInput: A setting is unknown, missing or of the wrong type.
    """
    if not isinstance(record, dict):
        raise BadInput(f"expected an object with settings, got {record!r}")
    settings = {field.name: field for field in fields(model) if field.init}  # type: ignore[arg-type]
    hints = get_type_hints(model)
    if unknown := record.keys() - settings:
        raise BadInput(f"unknown setting {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}
    for name, setting in settings.items():
        if name in record:
            read = setting.metadata.get("read")
            value = record[name]
            values[name] = read(value) if read else _convert(value, hints[name], name)
        elif setting.default is MISSING and setting.default_factory is MISSING:
            raise BadInput(f"missing setting {name}")
    return model(**values)


def _convert(value: Any, hint: Any, name: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:  # of one type and None
        if value is None:
            return None
        (hint,) = (each for each in arguments if each is not NoneType)
        return _convert(value, hint, name)
    if is_dataclass(hint) and isinstance(hint, type):
        return build(value, hint)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        if len(kinds) == len(value):
            return tuple(_convert(one, kind, name) for one, kind in zip(value, kinds, strict=True))
    if origin is frozenset and isinstance(value, list):
        return frozenset(_convert(one, arguments[0], name) for one in value)
    if origin is Mapping and isinstance(value, dict):
        return {key: _convert(one, arguments[1], name) for key, one in value.items()}
    if origin is Literal and value in arguments:
        return value
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return hint(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if origin is None and isinstance(value, (int, float) if hint is float else hint):
        return value
    raise BadInput(f"{name}: expected {getattr(hint, '__name__', hint)}, got {value!r}")
