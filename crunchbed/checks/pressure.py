"""Memory pressure: when a node had not one page for a normal task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crunchbed.checks.lives import lives, overlap
from crunchbed.history.history import History, Interval, remembered
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.pressure import PressureBegan, PressureEnded


@remembered
def episodes(history: History, node: str) -> list[Interval]:
    """Return the pressure episodes of ``node`` while it was up and measured, by time.

    An episode that was still open ended with the node or with the run.
    """
    return overlap(_recorded(history, node), lives(history, node))


def had_memory(history: History, node: str, t: int) -> bool:
    """Return whether ``node``, which was up until ``t``, had never been short of memory by then.

    That counts from its boot on.
    """
    boot = max((life.start for life in lives(history, node) if life.start < t), default=0)
    return not any(one.start < t and one.end > boot for one in episodes(history, node))


def figures(pressed: Sequence[Interval]) -> dict[str, Any]:
    """Return the figures of episodes of pressure, by name."""
    lengths = [episode.length for episode in pressed]
    return {
        "pressure_episodes": len(lengths),
        "pressure_seconds": seconds(sum(lengths)),
        "pressure_longest_seconds": seconds(max(lengths, default=0)),
    }


def _recorded(history: History, node: str) -> list[Interval]:
    events: list[PressureBegan | PressureEnded]
    events = history.together(PressureBegan, PressureEnded, node=node)
    found: list[Interval] = []
    begun: int | None = None
    for event in events:
        if isinstance(event, PressureBegan):
            begun = event.t if begun is None else begun
        else:
            found.append(Interval(event.since, event.t))
            begun = None
    if begun is not None:
        found.append(Interval(begun, history.span.end + 1))
    return found
