"""Counts of what strangers send, recorded now and then: a flood of it fills no disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.switches import OpenFlowMalformed, PressureRefused

REPORT_NS: Final = 500_000_000
"""Counts are recorded at most this often, the first at once."""

MOST_REASONS: Final = 16
"""So many reasons have an event of their own each time; strangers may bring about any number."""

OTHERS: Final = "other reasons"


class Refusals:
    """Counts of one kind, by reason. Its owner sees to it that one thread at a time calls it."""

    def __init__(
        self, kind: type[OpenFlowMalformed] | type[PressureRefused], record: Callable[[Event], None]
    ) -> None:
        self._kind = kind
        self._record = record
        self._unreported: Counter[str] = Counter()
        self._reported_at = -REPORT_NS

    def count(self, reason: str, times: int = 1) -> None:
        """Count a reason; ``report`` records it."""
        known = reason in self._unreported or len(self._unreported) < MOST_REASONS
        self._unreported[reason if known else OTHERS] += times

    def report(self, now: int) -> bool:
        """Record the counts, if it is time; returns whether anything was recorded.

        ``now`` is in nanoseconds of CLOCK_MONOTONIC.
        """
        if not self._unreported or now - self._reported_at < REPORT_NS:
            return False
        self._reported_at = now
        self.close()
        return True

    def close(self) -> None:
        """Record the counts."""
        for reason, count in self._unreported.items():
            self._record(self._kind(reason=reason, count=count))
        self._unreported.clear()
