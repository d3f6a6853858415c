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
        hoarded: Pages that the module has taken, or packets hold whose reader does not read.
        low_water: Fewest free pages since the boot.
        demand: Pages that a burst still wants.
        pressure: Whether there is no page for a normal task.
        pressure_episodes: How often that began since the boot.
        pressure_ns: How long that lasted in all, as far as it is over.
    """

    total: int = 0
    free: int = 0
    reserve: int = 0
    dirty: int = 0
    hoarded: int = 0
    low_water: int = 0
    demand: int = 0
    pressure: bool = False
    pressure_episodes: int = 0
    pressure_ns: int = 0

    def sampled(self, t: int) -> PoolSampled:
        """Return the event that says so; the pages of other packets are not known."""
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
        self._since: int | None = None  # by the host's clock
        self._ended = 0
        self._begun_ns = self._freed_ns = 0  # by the guest's clock

    def counted(self, counters: Counters, unread_pages: int = 0) -> list[Event]:
        """Take counters in; windows that had begun by then are to be told first.

        Args:
            counters: The module's.
            unread_pages: Pages of packets that nobody reads, by the agent.
        """
        pool, fresh = self._pool, not self._pool.total
        pool.total, pool.reserve = counters.managed_pages, counters.min_pages
        pool.free = counters.free_pages
        pool.hoarded = counters.held_pages + counters.ballast_pages + unread_pages
        pool.low_water = pool.free if fresh else min(pool.low_water, pool.free)
        # Counters may be older than what the record of a window has told.
        if counters.at_ns <= max(self._begun_ns, self._freed_ns):
            return []
        if pool.free <= pool.reserve:
            return self._begin(counters.at_ns, pool.free)
        held = counters.windows_begun > counters.windows_ended
        return [] if held else self._end(counters.at_ns)

    def window(self, record: Window) -> list[Event]:
        """Take in that a window has reached its level, any number of times, and its end once."""
        if not record.reached_ns:
            return []
        self._pool.low_water = min(self._pool.low_water, record.low_pages)
        found = self._begin(record.reached_ns, record.reached_pages)
        if record.freed_ns:
            self._freed_ns = record.freed_ns
            found += self._end(record.ended_ns)
        return found

    def pressed_since(self, ns: int) -> bool:
        """Return whether there was pressure at any time since then, by the host's clock."""
        return self._since is not None or self._ended >= ns

    def close(self, now_ns: int) -> list[Event]:
        """The guest has no power any more, and so no pressure; ``now_ns`` by the host's clock."""
        return self._over(now_ns)

    def _begin(self, guest_ns: int, free: int) -> list[Event]:
        if self._since is not None:
            return []
        self._begun_ns, self._since = guest_ns, self._clock.host_ns(guest_ns)
        self._pool.pressure = True
        self._pool.pressure_episodes += 1
        return [PressureBegan(t=self._since, free=free)]

    def _end(self, guest_ns: int) -> list[Event]:
        return [] if self._since is None else self._over(self._since + guest_ns - self._begun_ns)

    def _over(self, at_ns: int) -> list[Event]:
        since, self._since = self._since, None
        self._pool.pressure = False
        if since is None:
            return []
        self._ended = at_ns = max(at_ns, since)
        self._pool.pressure_ns += at_ns - since
        return [PressureEnded(t=at_ns, since=since, duration_ns=at_ns - since)]
