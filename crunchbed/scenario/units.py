"""Quantities as people write them: ``200ms``, ``16KiB``, ``200Mbit``; exact whole numbers inside.

Every parser takes text and returns an ``int`` in the base unit, or raises ``ValueError`` whose text
says what was expected. Every formatter returns text that parses back to the same number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

DURATIONS: Final[Mapping[str, int]] = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
}
SIZES: Final[Mapping[str, int]] = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
RATES: Final[Mapping[str, int]] = {
    "bit": 1,
    "kbit": 1_000,
    "Mbit": 1_000_000,
    "Gbit": 1_000_000_000,
}

DURATION_HINT: Final = "a duration such as 50us, 200ms, 3s or 2min"
SIZE_HINT: Final = "a size such as 512B, 16KiB or 256MiB"
RATE_HINT: Final = "a rate such as 200Mbit"

_QUANTITY: Final = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s?([A-Za-z]+)", re.ASCII)


def duration_ns(text: str) -> int:
    """Return nanoseconds; a fraction of a nanosecond is an error."""
    return _parse(text, DURATIONS, DURATION_HINT)


def size_bytes(text: str) -> int:
    """Return bytes; units are binary (KiB = 1024 bytes)."""
    return _parse(text, SIZES, SIZE_HINT)


def rate_bits(text: str) -> int:
    """Return bits per second; units are decimal, as in tc (1 Mbit = 1,000,000 bit)."""
    return _parse(text, RATES, RATE_HINT)


def format_duration(nanoseconds: int) -> str:
    """Return the shortest exact text, such as ``200ms``."""
    return _format(nanoseconds, {unit: DURATIONS[unit] for unit in ("ns", "us", "ms", "s")})


def format_size(count: int) -> str:
    """Return the shortest exact text, such as ``16KiB``."""
    return _format(count, SIZES)


def format_rate(bits: int) -> str:
    """Return the shortest exact text, such as ``200Mbit``."""
    return _format(bits, RATES)


def seconds(nanoseconds: int) -> float:
    """Return ``nanoseconds`` in seconds, as every reported figure is."""
    return nanoseconds / 1_000_000_000


def _parse(text: str, units: Mapping[str, int], hint: str) -> int:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2] not in units:
        raise ValueError(hint)
    value = Fraction(match[1]) * units[match[2]]
    if value.denominator != 1:
        raise ValueError(f"{hint}, in whole {next(iter(units))}")
    return value.numerator


def _format(value: int, units: Mapping[str, int]) -> str:
    base, *_ = units
    if value == 0:
        return f"0{base if base != 'ns' else 's'}"
    unit = max((u for u in units if value % units[u] == 0), key=lambda u: units[u])
    return f"{value // units[unit]}{unit}"
