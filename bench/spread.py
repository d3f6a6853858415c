"""Median and spread of repeated measurements."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The repeats of one measurement, in the unit of its table.

    ``low`` and ``high`` are the quartiles: half of the repeats lie between them.
    """

    median: float
    low: float
    high: float
    smallest: float
    largest: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of these values; at least one."""
        low, middle, high = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else (values[0],) * 3
        )
        return cls(middle, low, high, min(values), max(values), len(values))

    def shown(self, digits: int = 0) -> str:
        """The text ``median (low..high)``."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}..{self.high:.{digits}f})"


def coloured(text: str, *, good: bool) -> str:
    """Return a text that a table shows in green, or in red where it misses its goal."""
    return f"[{'green' if good else 'red'}]{text}[/]"
