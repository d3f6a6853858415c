"""What strangers send is counted, and written down now and then: a flood of it fills no disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

REPORT_NS: Final = 500_000_000
"""It is written down at most this often, the first at once."""

MOST_REASONS: Final = 16
"""So many reasons have an event of their own each time; strangers may bring about any number."""

OTHERS: Final = "other reasons"


class Refusals:
    """Counts of one kind, by reason. Its owner sees to it that one thread at a time calls it.

    Args:
        kind: Of the events that say it; each has a ``reason`` and its ``count``.
        record: Writes an event, its kind and its fields, into the history.
    """

    def __init__(self, kind: str, record: Callable[..., None]) -> None:
        self._kind = kind
        self._record = record
        self._unreported: Counter[str] = Counter()
        self._reported_at = -REPORT_NS

    def count(self, reason: str) -> None:
        """Note one; ``report`` writes it down."""
        known = reason in self._unreported or len(self._unreported) < MOST_REASONS
        self._unreported[reason if known else OTHERS] += 1

    def report(self, now: int) -> bool:
        """Write down what there is, if it is time; returns whether anything was.

        Args:
            now: CLOCK_MONOTONIC, nanoseconds.
        """
        if not self._unreported or now - self._reported_at < REPORT_NS:
            return False
        self._reported_at = now
        self.close()
        return True

    def close(self) -> None:
        """Write down what there is."""
        for reason, count in self._unreported.items():
            self._record(self._kind, reason=reason, count=count)
        self._unreported.clear()
