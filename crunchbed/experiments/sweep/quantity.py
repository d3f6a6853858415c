"""Quantities that a sweep can vary: ``10ms``, ``16KiB``, ``0.25``, ``4000``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from crunchbed.scenario import units
from reserve_agent.errors import BadInput

_FRACTION_STEPS: Final = 10_000  # of 1, for numbers with a decimal point


def _show_fraction(steps: int) -> str:
    return f"{steps / _FRACTION_STEPS:.15g}"


def _read_fraction(text: str) -> int:
    return round(float(text) * _FRACTION_STEPS)


_KINDS: Final[tuple[tuple[Callable[[str], int], Callable[[int], str]], ...]] = (
    (units.duration_ns, units.format_duration),
    (units.size_bytes, units.format_size),
    (units.rate_bits, units.format_rate),
    (int, str),
    (_read_fraction, _show_fraction),
)


@dataclass(frozen=True)
class Range:
    """A range of quantities, both ends included, in whole steps of the quantity's smallest unit."""

    low: int
    high: int
    show: Callable[[int], str]  # returns a step as text for a scenario
    base: int = 10  # base of round numbers: 2 for sizes, else 10

    def at(self, share: float) -> int:
        """Return the step at ``share`` of the range, 0 to 1; by ratio where it spans decades."""
        if self.low > 0 and self.high / self.low > 10:
            exact = self.low * math.pow(self.high / self.low, share)
        else:
            exact = self.low + (self.high - self.low) * share
        return min(self.high, max(self.low, round(exact)))

    def middles(self) -> Iterator[int]:
        """Yield steps between the ends, about half way, each a rounder number than the one before.

        The first is a round number too: 140ms rather than 141421356ns.
        """
        exact = self.at(0.5)
        room = min(exact - self.low, self.high - exact)
        unit = 1
        while unit * self.base * 8 <= room:
            unit *= self.base
        while unit < self.high:
            step = round(exact / unit) * unit
            if self.low < step < self.high:
                yield step
            unit *= self.base

    def away(self, step: int, distance: int) -> int:
        """Return a round step about ``distance`` from ``step``, which is in the range."""
        unit = 1
        while unit * self.base * 2 <= abs(distance):
            unit *= self.base
        return min(self.high, max(self.low, round((step + distance) / unit) * unit))


def parse_range(text: str) -> Range | None:
    """Return the range in ``A..B``, None without dots; BadInput unless A < B are of one kind."""
    first, dots, last = text.partition("..")
    if not dots:
        return None
    wrong = BadInput(
        f"expected a range A..B such as 10ms..2s, 100..20000 or 0..1, the smaller first: got {text}"
    )
    for read, show in _KINDS:
        try:
            low, high = read(first), read(last)
        except (ValueError, OverflowError):
            continue
        if read is int and (low, high) == (0, 1):
            continue  # shares: as whole numbers they have nothing between them
        if not 0 <= low < high:
            raise wrong
        return Range(low, high, show, 2 if read is units.size_bytes else 10)
    raise wrong


def size_of(text: str) -> float | None:
    """Return a quantity as a number, to sort those of one kind; None where the text is none."""
    for read in (units.duration_ns, units.size_bytes, units.rate_bits, float):
        try:
            size = float(read(text))
        except (ValueError, OverflowError):
            continue
        return size if math.isfinite(size) else None
    return None
