"""One measured constant of a profile: its value, what each repeat found, and what it excludes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TypeVar

from reserve_agent.model.profiles.kernel import Ratio

Name = TypeVar("Name", bound=Enum)


@dataclass(frozen=True)
class Constant:
    """A constant, measured.

    Attributes:
        key: Its place in a profile, such as ``kernel.floors.atomic``.
        value: As a profile has it.
        seen: What the repeats found: numbers, or the names of kinds.
        least: No smaller value is consistent with that, and
        most: no larger one; None: the value is not a number.
        note: What it was measured by.
    """

    key: str
    value: object
    seen: tuple[float | str, ...]
    least: float | None
    most: float | None
    note: str

    def excludes(self, value: object) -> bool:
        """Return whether a profile that has this value is contradicted."""
        if self.least is None or self.most is None:
            return name_of(value) not in self.seen
        number = number_of(value)
        return number is None or not self.least <= number <= self.most


def number_of(value: object) -> float | None:
    """Return a value of a profile as a number; None: it is none."""
    if isinstance(value, Ratio):
        return value.numerator / value.denominator
    return value if isinstance(value, int | float) and not isinstance(value, bool | Enum) else None


def name_of(value: object) -> str:
    """Return a value of a profile that is no number, as files and tables have it."""
    return value.name.lower() if isinstance(value, Enum) else str(value)


def share(key: str, pairs: Sequence[tuple[float, float]], slack: float, note: str) -> Constant:
    """Return a share of R that lies between the two numbers of each pair, in sixteenths.

    Args:
        key: The constant's.
        pairs: Of each repeat, the largest share that was too little and the least that was enough.
        slack: How far a pair may be off, as a share.
        note: What it was measured by.
    """
    middle = tuple((low + high) / 2 for low, high in pairs)
    nearest = Fraction(min(round(sum(middle) / len(middle) * 16), 16), 16)
    return Constant(
        key,
        Ratio(nearest.numerator, nearest.denominator),
        middle,
        min(low for low, _ in pairs) - slack,
        max(high for _, high in pairs) + slack,
        note,
    )


def number(key: str, seen: Sequence[int], slack: float, note: str) -> Constant:
    """Return a whole number, the one that was found most often; it may be off by ``slack``."""
    value = Counter(seen).most_common(1)[0][0]
    return Constant(key, value, tuple(seen), min(seen) - slack, max(seen) + slack, note)


def within(key: str, bounds: Sequence[tuple[int, int]], shipped: int, note: str) -> Constant:
    """Return a number of which bounds were found: the shipped one if these have it."""
    least, most = max(low for low, _ in bounds), min(high for _, high in bounds)
    if least > most:  # the repeats differ
        least, most = min(low for low, _ in bounds), max(high for _, high in bounds)
    value = shipped if least <= shipped <= most else (least + most) // 2
    return Constant(key, value, tuple((low + high) / 2 for low, high in bounds), least, most, note)


def kind(key: str, seen: Sequence[Name], note: str) -> Constant:
    """Return a kind, the one that was found most often."""
    value = Counter(seen).most_common(1)[0][0]
    return Constant(key, value, tuple(name_of(one) for one in seen), None, None, note)
