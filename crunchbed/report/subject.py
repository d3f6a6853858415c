"""What a run's pictures are about: which node, and from when on time is counted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from crunchbed.checks.faults import fault_spans
from crunchbed.checks.lives import target_of
from crunchbed.history.history import History


def subject_of(history: History, nodes: Sequence[str]) -> tuple[str, int]:
    """The node that a run is about, and time zero: its crunch's begin, else the inject phase's.

    Args:
        history: The run.
        nodes: Its nodes. Where none is crunched it is the first that a fault hit, else the first.
    """
    crunches = history.of("crunch.begin")
    if crunches:
        return target_of(crunches[0]), crunches[0].t
    inject = history.phase("inject")
    zero = inject.start if inject else history.span.start
    hit = [one.targets[0] for one in fault_spans(history) if one.targets]
    return next((node for node in (*hit, *nodes) if node in nodes), "n1"), zero


def since_what(history: History) -> str:
    """What seconds are counted from, in words for an axis."""
    return "after the crunch began" if history.of("crunch.begin") else "into the inject phase"
