"""Reading a daemon's configuration file into a dataclass."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.errors import BadInput


def read_settings(path: Path, model: type[Any]) -> dict[str, Any]:
    """The settings in a JSON file, all of them fields of the dataclass ``model``.

    Raises:
        BadInput: one is unknown.
        OSError, ValueError, AttributeError: it cannot be read, or is no JSON object.
    """
    record: dict[str, Any] = orjson.loads(path.read_bytes())
    unknown = record.keys() - {setting.name for setting in fields(model)}
    if unknown:
        raise BadInput(f"{path}: unknown setting {', '.join(sorted(unknown))}")
    return record
