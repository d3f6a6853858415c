"""When a guest is under memory pressure, from its module's counters and windows. Pure.

The module publishes its counters every 5 ms, and has the exact times of each window that it holds.
So pressure of a window begins and ends with the window's own times, and all other pressure with the
counters that show it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.guest.guest_clock import GuestClock
from nodes.guest.layout import Counters, Window
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.pressure import PoolSampled, PressureBegan, PressureEnded


@dataclass(slots=True)
class GuestPool:
    """A guest's memory, by its newest counters; pages of 4 KiB.

    Attributes:
        total: Pages of the largest zone.
        free: Free pages of it.
        reserve: Its min watermark.
        dirty: Pages of tasks, or of writes, that must be written before they are free.
        hoarded: Pages that the module has taken.
        low_water: Fewest free pages since the boot.
        demand: Pages that a burst still wants.
        pressure: Whether there is no page for a normal task.
    """

    total: int = 0
    free: int = 0
    reserve: int = 0
    dirty: int = 0
    hoarded: int = 0
    low_water: int = 0
    demand: int = 0
    pressure: bool = False

    def sampled(self, t: int) -> PoolSampled:
        """Return the event that says so; the packets' pages are not known."""
        return PoolSampled(
            t=t,
            free=self.free,
            dirty=self.dirty,
            demand=self.demand,
            rx_running=0,
            rx_stalled=0,
            hoarded=self.hoarded,
            tx=0,
            low_water=self.low_water,
        )


class Pressure:
    """Follows one guest's pressure from its boot on.

    Args:
        clock: The guest's; it must be known before the first call.
        pool: Is kept up to date.
    """

    def __init__(self, clock: GuestClock, pool: GuestPool) -> None:
        self._clock = clock
        self._pool = pool
        self._since: int | None = None
        self._ended = 0
        self._freed_ns = 0

    def counted(self, counters: Counters) -> list[Event]:
        """Take counters in; windows that had begun by then are to be told first."""
        pool, fresh = self._pool, not self._pool.total
        pool.total, pool.reserve = counters.managed_pages, counters.min_pages
        pool.free = counters.free_pages
        pool.hoarded = counters.held_pages + counters.ballast_pages
        pool.low_water = pool.free if fresh else min(pool.low_water, pool.free)
        at_ns = self._clock.host_ns(counters.at_ns)
        if pool.free <= pool.reserve:
            # Counters of the moment in which a window gave its pages back may be older than that.
            return self._begin(at_ns, pool.free) if counters.at_ns > self._freed_ns else []
        open_window = counters.windows_begun > counters.windows_ended
        return [] if open_window else self._end(at_ns)

    def window(self, record: Window) -> list[Event]:
        """Take in that a window has reached its level, or has ended; may be called again."""
        pool, clock = self._pool, self._clock
        if not record.reached_ns or (record.freed_ns and record.freed_ns <= self._freed_ns):
            return []
        pool.low_water = min(pool.low_water, record.low_pages)
        found = self._begin(clock.host_ns(record.reached_ns), record.reached_pages)
        if record.ended_ns:
            self._freed_ns = record.freed_ns
            found += self._end(clock.host_ns(record.ended_ns))
        return found

    def pressed_since(self, ns: int) -> bool:
        """Return whether there was pressure at any time since then."""
        return self._since is not None or self._ended >= ns

    def close(self, now_ns: int) -> list[Event]:
        """The guest has no power any more, and so no pressure."""
        return self._end(now_ns)

    def _begin(self, at_ns: int, free: int) -> list[Event]:
        if self._since is not None:
            return []
        self._since, self._pool.pressure = at_ns, True
        return [PressureBegan(t=at_ns, free=free)]

    def _end(self, at_ns: int) -> list[Event]:
        since, self._since = self._since, None
        self._pool.pressure = False
        if since is None:
            return []
        self._ended = at_ns = max(at_ns, since)
        return [PressureEnded(t=at_ns, since=since, duration_ns=at_ns - since)]
