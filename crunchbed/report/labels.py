"""Keys, values and figures of a sweep in words, for the axes of a picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "crunch.length": ("crunch length", "how long no page is free"),
    "crunch.depth": ("crunch depth", "share of the reserve that is gone"),
    "crunch.count": ("crunch count", "windows"),
    "crunch.every": ("crunch period", "from one window to the next"),
    "crunch.pages": ("crunch size", "pages of 4 KiB that tasks want"),
    "crunch.duration": ("crunch length", "how long packets come"),
    "memory.reserve": ("reserve", "pages of 4 KiB"),
    "memory.pages": ("memory", "pages of 4 KiB"),
    "heartbeat.interval": ("heartbeat interval", "from one to the next"),
    "heartbeat.misses": ("misses until suspected", "heartbeats"),
    "block_io.queue_depth": ("queue depth", "writes in flight"),
    "block_io.request": ("request size", "of a write"),
    "block_io.dirty_rate": ("steady writing", "pages of 4 KiB a second"),
    "traffic.rate": ("other traffic", "packets a second"),
    "cluster.nodes": ("cluster size", "nodes"),
    "policy": ("policy", ""),
}
"""What a key is called, and its unit or meaning."""

_UNITS: Final[Mapping[str, str]] = {"memory.reserve": "pages", "memory.pages": "pages"}
_QUANTITY: Final = re.compile(r"([0-9.]+)([A-Za-z]+)")
_HAPPENED: Final[Mapping[str, str]] = {
    "false_ejections": "runs that ejected a node that was alive",
    "nodes_ejected": "runs that ejected a node",
    "heartbeats_missed": "runs that missed a heartbeat",
    "writes_lost": "runs that lost an acknowledged write",
    "io_errors": "runs with an I/O error",
}


def name_of(key: str) -> str:
    """What a key is called, with its unit; the key itself where it has no other name."""
    name, unit = _KEYS.get(key, (key, ""))
    return f"{name} ({unit})" if unit else name


def value_text(value: str) -> str:
    """A value as one writes it: ``300ms`` is 300 ms."""
    found = _QUANTITY.fullmatch(value)
    if found is None:
        return value
    unit = {"us": "\N{MICRO SIGN}s"}.get(found[2], found[2])
    return f"{found[1]} {unit}"


def heading(key: str, value: str) -> str:
    """What a panel shows: a policy by its name alone, anything else with its key's name."""
    if key == "policy":
        return value
    name, _ = _KEYS.get(key, (key, ""))
    unit = _UNITS.get(key, "") if value.isdigit() else ""
    return f"{name} {value_text(value)} {unit}".rstrip()


def happened(figure: str) -> str:
    """The runs in which a figure is above 0."""
    return _HAPPENED.get(figure, f"runs with {figure} above 0")
