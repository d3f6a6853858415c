"""Crunches of a guest: the windows that its module is to hold, and the burst of a writeback. Pure.

Times are of the host's clock unless a name says otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nodes.guest import commands
from nodes.guest.config import GuestBurst, GuestWindows
from nodes.guest.events import window
from nodes.guest.guest_clock import GuestClock
from nodes.guest.layout import Window
from nodes.guest.pressure import GuestPool
from nodes.guest.scripts import Ask
from reserve_agent.contract.events.guests import GuestWindow
from reserve_agent.contract.events.writes import DirtyProgress

PROGRESS_NS = 100_000_000
"""Least time between two reports of a burst's progress."""
_AHEAD = 16
"""Windows that the module knows of before they begin, at most."""
_SOON_NS = 50_000_000
"""How long before its begin the module is told of a window."""


@dataclass(slots=True)
class _Planned:
    """A window that the module has been asked for.

    Attributes:
        ask: The command.
        asked_ns: When the level is to be reached.
        demand: Pages that others are to free; None: the window ends by time.
        offset_ns: By how much the host's clock was ahead when the level was reached: all times of
            the window are told by this offset, so that they fit the pressure that was told then.
    """

    ask: Ask
    asked_ns: int
    demand: int | None = None
    offset_ns: int | None = None


class WindowBook:
    """The windows that a run has asked for, from the wish to the module's record.

    Args:
        settings: How windows are held.
        clock: The guest's.
        pool: The guest's memory, which says how large min is.
    """

    def __init__(self, settings: GuestWindows, clock: GuestClock, pool: GuestPool) -> None:
        self._settings = settings
        self._clock = clock
        self._pool = pool
        self._lead_ns = settings.lead
        self._wanted: deque[tuple[int, int, int]] = deque()
        self._planned: list[_Planned] = []
        self._ended = 0

    def add(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Want more windows: begin, end, and the free pages that are left."""
        self._wanted.extend(windows)

    @property
    def first(self) -> int:
        """Number of the command for the first window that has not ended; 0: there is none."""
        return self._planned[0].ask.number if self._planned else 0

    @property
    def demand_of_first(self) -> int | None:
        """Pages that the first window wants; None where it ends by time, or there is none."""
        return self._planned[0].demand if self._planned else None

    def clear(self) -> None:
        """No window is wanted any more but the first, which the module may hold."""
        self._wanted.clear()
        del self._planned[1:]

    def drop_first(self) -> None:
        """The first window will never begin."""
        del self._planned[:1]

    def due(self, now_ns: int) -> list[Ask]:
        """Return the commands for windows that begin soon.

        They are not given sooner: what the windows before have needed says when to begin.
        """
        asks = []
        while self._wanted and len(self._planned) < _AHEAD:
            start, end, pages = self._wanted[0]
            if start - self._lead_ns - _SOON_NS > now_ns:
                break
            self._wanted.popleft()
            milli = -(-1000 * pages // max(1, self._pool.reserve))
            settings = self._settings
            ask = commands.level(
                self._begin(start - self._lead_ns),
                end - start,
                milli,
                settings.refill,
                drain=settings.drain,
            )
            self._planned.append(_Planned(ask, start))
            asks.append(ask)
        return asks

    def demand(self, burst: GuestBurst, pages: int, start_ns: int) -> Ask:
        """Return the command for the window of a burst, whose tasks want nothing before."""
        ask = commands.demand(burst, pages, self._begin(start_ns))
        self._planned.append(_Planned(ask, start_ns, pages))
        return ask

    def _begin(self, start_ns: int) -> int:
        """Return a time by the guest's clock as the module wants it: 0 would mean now."""
        return max(1, self._clock.guest_ns(start_ns))

    def first_reached(self) -> None:
        """The first window has reached its level; may be said again."""
        if self._planned[0].offset_ns is None:
            self._planned[0].offset_ns = self._clock.offset_ns

    def first_ended(self, record: Window) -> GuestWindow:
        """Take the first window out of the book, and return what is to be reported of it."""
        first = self._planned.pop(0)
        offset_ns = self._clock.offset_ns if first.offset_ns is None else first.offset_ns
        self._ended += 1
        if record.reached_ns:
            self._lead_ns = record.reached_ns - record.begun_ns
        return window(record, self._ended - 1, offset_ns, first.asked_ns, first.demand)


class Burst:
    """How far a writeback crunch has come.

    Args:
        pages: Pages that the kernel is to free.
        pool: The guest's memory; its ``demand`` is kept up to date.
    """

    def __init__(self, pages: int, pool: GuestPool) -> None:
        self.pages = pages
        self._pool = pool
        self._pool.demand = pages
        self._reported = -1
        self._due_ns = 0

    def freed(self, pages: int, now_ns: int) -> list[DirtyProgress]:
        """The kernel has freed so many pages by now; returns what is to be reported."""
        pages = max(0, min(pages, self.pages))
        self._pool.demand = self.pages - pages
        if now_ns < self._due_ns or pages == self._reported:
            return []
        self._due_ns = now_ns + PROGRESS_NS
        return self._report(pages, now_ns)

    def over(self, pages: int, now_ns: int) -> list[DirtyProgress]:
        """The burst has ended: it wants no more pages, whatever it got."""
        self._pool.demand = 0
        return self._report(min(pages, self.pages), now_ns)

    def _report(self, pages: int, now_ns: int) -> list[DirtyProgress]:
        self._reported = pages
        return [DirtyProgress(t=now_ns, requested=self.pages, asked=self.pages, dirtied=pages)]
