"""Memory pressure: when a node had not one page for a normal task."""

from __future__ import annotations

from crunchbed.checks.lives import lives, overlap
from crunchbed.history.history import History, Interval, remembered
from reserve_agent.contract.events.pressure import PressureBegan, PressureEnded


@remembered
def episodes(history: History, node: str) -> list[Interval]:
    """Return the pressure episodes of ``node`` while it was up and measured, by time.

    An episode that was still open ended with the node or with the run.
    """
    return overlap(_recorded(history, node), lives(history, node))


def _recorded(history: History, node: str) -> list[Interval]:
    events: list[PressureBegan | PressureEnded] = [
        *history.of(PressureBegan, node),
        *history.of(PressureEnded, node),
    ]
    found: list[Interval] = []
    begun: int | None = None
    for event in sorted(events, key=lambda event: event.t):
        if isinstance(event, PressureBegan):
            begun = event.t if begun is None else begun
        else:
            found.append(Interval(event.since, event.t))
            begun = None
    if begun is not None:
        found.append(Interval(begun, history.span.end + 1))
    return found
