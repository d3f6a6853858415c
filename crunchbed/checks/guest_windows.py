"""Windows of a timed crunch on a machine: when its kernel's module held them, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crunchbed.checks.lives import downtimes
from crunchbed.checks.pressure import episodes
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.guests import GuestReady, GuestWindow

LEVEL_PAGES: Final = 3
"""By so many pages a level may be off: pages come and go while the module looks."""


def as_held(history: History, node: str, windows: Sequence[Interval]) -> list[Interval]:
    """Return windows with the beginnings that they had on a machine; others stay as they are.

    A module takes pages until the level is reached, and then holds it as long as it was asked to.
    So a window that is a millisecond late is all there, a millisecond later. A window in which the
    machine lost its power has no record: it began with the pressure in it.
    """
    reached = {event.asked: event.reached for event in _windows(history, node)}
    cut = [] if not history.of(GuestReady, node) else downtimes(history, node)
    starts = [
        reached.get(window.start)
        or (_onset(history, node, window) if any(down.start in window for down in cut) else None)
        or window.start
        for window in windows
    ]
    return [
        Interval(start, start + window.length)
        for start, window in zip(starts, windows, strict=True)
    ]


def off_level(history: History, node: str) -> str | None:
    """Return what to say where windows were not at the level that was asked for; else None."""
    held = [event for event in _windows(history, node) if event.reached is not None]
    off = [abs(event.reached_pages - event.requested_pages) for event in held]
    bad = [pages for pages in off if pages > LEVEL_PAGES]
    if not bad:
        return None
    return (
        f"{len(bad)} of {len(held)} windows on {node} were more than {LEVEL_PAGES} pages off "
        f"their level, {max(bad)} pages at most"
    )


def _onset(history: History, node: str, window: Interval) -> int | None:
    """Return when the first pressure that began in a window did so."""
    return next((one.start for one in episodes(history, node) if one.start in window), None)


def _windows(history: History, node: str) -> list[GuestWindow]:
    """Return the windows that ended by time, not by demand."""
    return [event for event in history.of(GuestWindow, node) if event.demand is None]
