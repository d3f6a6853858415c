"""Labels for the axes and panels of a sweep's picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from crunchbed.checks.figures import spec_of

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
"""Name of a key, and its unit or meaning."""

_UNITS: Final[Mapping[str, str]] = {"memory.reserve": "pages", "memory.pages": "pages"}
_QUANTITY: Final = re.compile(r"([0-9.]+)([A-Za-z]+)")


def axis_label(key: str) -> str:
    """Return what a key is called, with its unit; the key itself where it has no other name."""
    name, unit = _KEYS.get(key, (key, ""))
    return f"{name} ({unit})" if unit else name


def value_label(value: str) -> str:
    """Return a value with a space before its unit: ``300ms`` is 300 ms."""
    found = _QUANTITY.fullmatch(value)
    if found is None:
        return value
    unit = {"us": "\N{MICRO SIGN}s"}.get(found[2], found[2])
    return f"{found[1]} {unit}"


def panel_title(key: str, value: str) -> str:
    """Return what a panel shows: the name of a policy alone, else the key's name and the value."""
    if key == "policy":
        return value
    name, _ = _KEYS.get(key, (key, ""))
    unit = _UNITS.get(key, "") if value.isdigit() else ""
    return f"{name} {value_label(value)} {unit}".rstrip()


def runs_with(figure: str) -> str:
    """Return what the runs are called in which a figure is above 0."""
    return spec_of(figure).runs_with or f"runs with {figure} above 0"
