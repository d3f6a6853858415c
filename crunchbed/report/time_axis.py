"""The time axis of a run's pictures: which node they show, and when second 0 is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crunchbed.checks.faults import fault_spans
from crunchbed.history.history import History
from reserve_agent.contract.events.faults import CrunchBegan


class TimeAxis(NamedTuple):
    """Turns a history's times into the seconds of a picture."""

    zero: int  # nanoseconds of CLOCK_MONOTONIC at second 0

    def at(self, t: int) -> float:
        """Return the seconds from second 0 to ``t``, to the microsecond."""
        return round((t - self.zero) / 1e9, 6)


def node_and_zero(history: History, nodes: Sequence[str]) -> tuple[str, int]:
    """Return the node that a run's pictures are about, and the time that is their second 0.

    The node is the crunched one; without a crunch the first that a fault hit; else the first of
    ``nodes``. Second 0 is the begin of the crunch; without a crunch that of the inject phase.
    """
    crunches = history.of(CrunchBegan)
    if crunches:
        return crunches[0].target, crunches[0].t
    inject = history.phase("inject")
    zero = inject.start if inject else history.span.start
    hit = [one.targets[0] for one in fault_spans(history) if one.targets]
    return next((node for node in (*hit, *nodes) if node in nodes), "n1"), zero


def zero_in_words(history: History) -> str:
    """Return what seconds are counted from, in words that follow "seconds"."""
    return "after the crunch began" if history.of(CrunchBegan) else "into the inject phase"
