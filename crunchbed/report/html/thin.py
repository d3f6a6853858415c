"""Thins out what is drawn: a screen has fewer points than a long run has events. Pure.

Extremes stay: a reader looks for the lowest level and for the longest gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import Final, NamedTuple

MOST_DRAWN: Final = 2000  # most marks or spans of one kind in one row of a timeline
MOST_IN_ALL: Final = 24_000  # most marks or spans of one kind in all rows
LEVEL_BINS: Final = 600  # bins of a level over a run; each keeps its lowest and its highest value
_SCATTER: Final = 2654435761  # Knuth's multiplicative hash

Span = tuple[float, float]
Mark = tuple[float, int]  # a time, and the index of a cause


GAP: Final = -1  # the value of a level where there is none, as of a node without power


class Grid(NamedTuple):
    """Time in bins of two slots each: for the earlier and the later of a bin's two extremes."""

    begin: float
    end: float
    bins: int = LEVEL_BINS

    @property
    def width(self) -> float:
        """Width of a bin in seconds."""
        return max(self.end - self.begin, 1e-6) / self.bins

    def times(self) -> list[float]:
        """Return the middle of each slot in seconds."""
        half = self.width / 2
        return [round(self.begin + (slot + 0.5) * half, 6) for slot in range(2 * self.bins)]

    def bin_of(self, t: float) -> int | None:
        """Return which bin ``t`` is in; None outside of all bins."""
        index = int((t - self.begin) / self.width) if t >= self.begin else -1
        return index if 0 <= index < self.bins else None

    def slot_of(self, t: float) -> int:
        """Return which slot ``t`` is in; ``t`` is between begin and end."""
        return min(int((t - self.begin) / self.width * 2), 2 * self.bins - 1)

    def extremes(
        self, points: Iterable[tuple[float, int]], gaps: Sequence[Span] = ()
    ) -> list[int | None]:
        """Return lowest and highest value of each bin, the earlier first; None without a value.

        ``points`` are times in seconds with values, by time. In ``gaps`` there is no value.
        """
        low: dict[int, tuple[float, int]] = {}
        high: dict[int, tuple[float, int]] = {}
        for t, value in points:
            index = self.bin_of(t)
            if index is None:
                continue
            if index not in low or value < low[index][1]:
                low[index] = (t, value)
            if index not in high or value > high[index][1]:
                high[index] = (t, value)
        values: list[int | None] = [None] * (2 * self.bins)
        for begin, end in gaps:
            left, right = (self.slot_of(min(max(t, self.begin), self.end)) for t in (begin, end))
            values[left + 1 : right + 1] = [GAP] * (right - left)
        for index, least in low.items():
            first, last = sorted((least, high[index]))
            values[2 * index] = first[1]
            if last != first:
                values[2 * index + 1] = last[1]
        return values


def share(rows: int) -> int:
    """Return how many marks or spans of one kind each of so many rows may draw."""
    return min(MOST_DRAWN, MOST_IN_ALL // max(rows, 1))


def spans(found: Sequence[Span], most: int = MOST_DRAWN) -> list[Span]:
    """Merge spans over the smallest gaps between them until there are at most ``most``."""
    if len(found) <= most:
        return list(found)

    def width(index: int) -> tuple[float, int]:
        gap = found[index + 1][0] - found[index][1]
        # Of gaps that are about as wide, those that stay are spread over the whole.
        return round(math.log(max(gap, 1e-9)), 1), index * _SCATTER % 2**32

    widest = set(nlargest(most - 1, range(len(found) - 1), key=width))
    merged = [found[0]]
    for index, (begin, end) in enumerate(found[1:]):
        if index in widest:
            merged.append((begin, end))
        else:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
    return merged


def marks(found: Sequence[Mark], whole: Span, most: int = MOST_DRAWN) -> list[Mark]:
    """Keep the first mark of each cause in each of ``most`` bins; all marks where there are few."""
    if len(found) <= most:
        return list(found)
    width = (whole[1] - whole[0]) / most or 1.0
    first: dict[tuple[int, int], Mark] = {}
    for mark in found:
        first.setdefault((int((mark[0] - whole[0]) / width), mark[1]), mark)
    return sorted(first.values())
