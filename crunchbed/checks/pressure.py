"""Memory pressure: when a node had not one page for a normal task."""

from __future__ import annotations

from crunchbed.checks.lives import lives, overlap
from crunchbed.history.history import History, Interval, remembered


@remembered
def episodes(history: History, node: str) -> list[Interval]:
    """Return the pressure episodes of ``node`` while it was up and measured, by time.

    One that was still open ended with the node or with the run.
    """
    return overlap(_recorded(history, node), lives(history, node))


def _recorded(history: History, node: str) -> list[Interval]:
    events = [*history.of("pressure.begin", node), *history.of("pressure.end", node)]
    found: list[Interval] = []
    begun: int | None = None
    for event in sorted(events, key=lambda e: e.t):
        if event.kind == "pressure.begin":
            begun = event.t if begun is None else begun
        else:
            found.append(Interval(event.data.get("since", begun or event.t), event.t))
            begun = None
    if begun is not None:
        found.append(Interval(begun, history.span.end + 1))
    return found
