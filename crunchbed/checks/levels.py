"""What each level of memory did to a machine: what it heard, said and wrote in the window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.guests import GuestCounted, GuestWindow
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent
from reserve_agent.contract.events.pressure import PoolConfigured
from reserve_agent.contract.events.writes import WriteAcknowledged

_COUNTED_NS: Final = 100_000_000
"""A count that rises is recorded within this time."""


@dataclass(frozen=True)
class Level:
    """One window of pressure on one machine.

    Attributes:
        node: The machine.
        level: Free pages that were to be left, as a fraction of the largest zone's min.
        demand: Pages that others had to free; None: the window ended by time.
        seconds: How long the level held.
        reached_pages: Free pages at its begin.
        low_pages: Fewest free pages.
        due: Heartbeats that peers sent to the machine in the window.
        heard: How many of them it had by their deadlines.
        sent: Heartbeats that the machine sent in the window, each peer counted.
        arrived: How many of them their peers had by their deadlines.
        writes: Acknowledged writes in the window.
        write_gap_seconds: Longest time without an acknowledged write that began in the window or
            lasted into it, counted from the window's begin; None: no write was acknowledged after.
        drops: Packets from the reserve for no memalloc socket (PFMemallocDrop) in the window.
        late_drops: The same after it, until the next window or the end.
        failed_atomic: Failed GFP_ATOMIC requests for a page.
        failed_fragment: Failed GFP_ATOMIC requests for several pages.
        failed_memalloc: Failed requests for a page that could have every page.
    """

    node: str
    level: float
    demand: int | None
    seconds: float
    reached_pages: int
    low_pages: int
    due: int
    heard: int
    sent: int
    arrived: int
    writes: int
    write_gap_seconds: float | None
    drops: int
    late_drops: int
    failed_atomic: int
    failed_fragment: int
    failed_memalloc: int

    @property
    def hears(self) -> str:
        """``all``, ``some`` or ``none`` of what was sent to it; a heartbeat at the edge is free."""
        if self.heard >= self.due:
            return "all"
        return "none" if self.heard <= 1 else "some"


def levels(history: History) -> list[Level]:
    """Return a row for each window that a machine of the run has held, by time."""
    windows = [one for one in history.of(GuestWindow) if one.reached is not None]
    return [_level(history, window, _begin_of_next(windows, window)) for window in windows]


def _begin_of_next(windows: Sequence[GuestWindow], window: GuestWindow) -> int:
    """Return when the machine's next window begins; far away where there is none."""
    later = (one.begun for one in windows if one.node == window.node and one.begun > window.begun)
    return min(later, default=1 << 62)


def _level(history: History, window: GuestWindow, until: int) -> Level:
    node, reached = window.node, window.reached or window.begun
    held = Interval(reached, window.ended)
    due, heard = _to(history, node, held)
    sent, arrived = _from(history, node, held)
    acknowledged = [event.t for event in history.of(WriteAcknowledged, node)]
    before, at_end, later = (
        _drops(history, node, at) for at in (reached, window.ended + _COUNTED_NS, until)
    )
    (config, *_) = history.of(PoolConfigured, node)
    return Level(
        node=node,
        level=window.requested_pages / config.reserve,
        demand=window.demand,
        seconds=held.length / 1e9,
        reached_pages=window.reached_pages,
        low_pages=window.low_pages,
        due=due,
        heard=heard,
        sent=sent,
        arrived=arrived,
        writes=sum(at in held for at in acknowledged),
        write_gap_seconds=_longest_gap(acknowledged, held),
        drops=at_end - before,
        late_drops=later - at_end,
        failed_atomic=window.failed["atomic"],
        failed_fragment=window.failed["fragment"],
        failed_memalloc=window.failed["memalloc"],
    )


def _sent(history: History, held: Interval) -> Iterator[tuple[HeartbeatSent, str]]:
    """Yield each heartbeat of the window with each peer that it was sent to."""
    for event in history.of(HeartbeatSent):
        if event.t in held and not isinstance(event.peers, int):
            for peer in event.peers:
                yield event, peer


def _to(history: History, node: str, held: Interval) -> tuple[int, int]:
    """Return how many heartbeats were sent to a node in a window, and how many it had in time."""
    missed = {(event.peer, event.tag) for event in history.of(HeartbeatMissed, node)}
    asked = [(event.node, event.tag) for event, peer in _sent(history, held) if peer == node]
    return len(asked), sum(one not in missed for one in asked)


def _from(history: History, node: str, held: Interval) -> tuple[int, int]:
    """Return how many heartbeats a node sent in a window, and how many its peers had in time."""
    missed = {
        (event.node, event.tag) for event in history.of(HeartbeatMissed) if event.peer == node
    }
    asked = [(peer, event.tag) for event, peer in _sent(history, held) if event.node == node]
    return len(asked), sum(one not in missed for one in asked)


def _longest_gap(times: Sequence[int], held: Interval) -> float | None:
    """Return the longest time between writes that touches a window, seconds."""
    first, last = bisect_left(times, held.start), bisect_left(times, held.end)
    if last == len(times):
        return None
    touched = [held.start, *times[first : last + 1]]
    return max(after - before for before, after in pairwise(touched)) / 1e9


def _drops(history: History, node: str, at: int) -> int:
    """Return PFMemallocDrop of a machine at a time."""
    counted = history.of(GuestCounted, node)
    index = bisect_left(counted, at, key=lambda event: event.t)
    return counted[index - 1].pfmemalloc_drops if index else 0
