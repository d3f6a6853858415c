"""The page pool of one node: free, clean, dirty, held by packet buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reserve_agent.contract.packets import WHEEL_SLOTS, WINDOWS_PER_STEP
from reserve_agent.model.border import NS_PER_PAGE, margin
from reserve_agent.model.fate import Fate
from reserve_agent.model.wheel import Wheel


class Window(NamedTuple):
    """An interval, in nanoseconds, without a page for a normal task.

    ``level`` pages are left free when it begins.
    """

    start: int
    end: int
    level: int


Episode = Callable[[str, int, int], None]
"""Told of ``begin`` (time, pages free) and ``end`` (time, when the pressure had begun)."""


@dataclass
class Pool:
    """Pages of 4 KiB. ``total`` is the sum of all the others at all times.

    Attributes:
        total: The node's memory.
        reserve: R, the pages under the min watermark, out of reach of normal tasks.
        free: Nobody has them.
        clean: Used by tasks from the start.
        dirty: Used by tasks, and to be written before they are free again.
        demand: Pages that normal tasks wait for; not part of the sum.
        wanted: Pages that a kernel must still swap for: tasks hold all that is free but
            ``swap_level``, and take each page that becomes free, until they have so many.
        squeezed: Taken by the window, or by the crunch, that goes on.
        running: Receive buffers whose reader runs.
        rx_stalled: Receive buffers whose reader waits for the pressure to end.
        tx: Write queues of TCP sockets.
        hoarded: Receive buffers whose reader does not read, whatever the pressure.
        stock: Pages that a card's ring, pieces of pages and heads of packets are made of.
        sunk: Heads of sent packets in a cache that only reception takes from, counted while senders
            find no page for more. The end of the pressure brings pages.
        exact: Whether a window holds its level: all that is freed above it is taken. Otherwise what
            is freed stays free up to R.
        wakes: How often such readers have read.
        low_water: Fewest free pages so far, of those that the pool knows of (``border.py``).
        service_shift: A tick of the wheel is 2 ** service_shift nanoseconds.
        ns_per_page: How fast packets may come that are not booked; 1 = all are booked.
        border: Free pages up to which packets are booked.
    """

    total: int = 0
    reserve: int = 0
    free: int = 0
    clean: int = 0
    dirty: int = 0
    demand: int = 0
    wanted: int = 0
    swap_level: int = 0
    squeezed: int = 0
    rx_stalled: int = 0
    tx: int = 0
    hoarded: int = 0
    stock: int = 0
    sunk: int = 0
    exact: bool = False
    wakes: int = 0
    low_water: int = 0
    now: int = 0
    generation: int = 0
    service_shift: int = 15
    ns_per_page: int = NS_PER_PAGE
    border: int = 0
    running: Wheel = field(default_factory=Wheel)
    windows: Sequence[Window] = ()
    window: int = 0
    in_window: bool = False
    pressure: bool = False
    pressure_since: int = 0
    pressure_ns: int = 0
    pressure_longest_ns: int = 0
    pressure_episodes: int = 0
    on_episode: Episode = lambda _what, _t, _value: None

    @property
    def tick(self) -> int:
        """The present in ticks of the service wheel."""
        return self.now >> self.service_shift

    @property
    def calm(self) -> bool:
        """Whether there is no pressure to end and no window to begin: time makes no difference."""
        return not self.pressure and self.window >= len(self.windows)

    def calm_until(self, time: int) -> bool:
        """Whether there is no pressure, and no window begins up to a time in nanoseconds."""
        if self.pressure or self.in_window:
            return False
        return self.window >= len(self.windows) or time < self.windows[self.window].start

    def has_room(self, pages: int) -> bool:
        """Whether ``pages`` fewer were above R, and above the border or no new low."""
        return self.free - pages > min(self.border, max(self.reserve, self.low_water - 1))

    def roomy(self, pages: int) -> bool:
        """Whether the pool is calm, and nobody would notice ``pages`` fewer for a moment."""
        return self.calm and self.has_room(pages)

    def advance(self, now: int) -> None:
        """Bring the pool to ``now``: readers that are done, windows that began or ended."""
        self.now = max(self.now, now)
        self.free += self.running.turn(self.tick)
        self._pass_windows()
        self.account(self.now)

    def _pass_windows(self) -> None:
        for _ in range(WINDOWS_PER_STEP):
            if self.window >= len(self.windows):
                return
            window = self.windows[self.window]
            if not self.in_window:
                if self.now < window.start:
                    return
                self.in_window = True
                self._squeeze(window.level)
                self.account(window.start)
            if self.now < window.end:
                return
            self.in_window = False
            self.window += 1
            self._release()
            self.account(window.end)

    def _feed(self) -> None:
        """Give stalled tasks the pages above the mark, before any packet can take them."""
        if self.in_window:
            self._squeeze(self.windows[self.window].level if self.exact else self.reserve)
            return
        if self.wanted:
            self.wanted -= min(self.wanted, self._squeeze(self.swap_level))
            if self.wanted:
                return
            self._release()
        room = self.free - self.reserve
        if room <= 0:
            return
        granted = min(room, self.demand)
        self.demand -= granted
        self.dirty += granted
        self.free -= granted

    def _squeeze(self, level: int) -> int:
        """Take what is free above a level; returns how many pages."""
        taken = max(0, self.free - level)
        self.squeezed += taken
        self.free -= taken
        return taken

    def _release(self) -> None:
        self.free += self.squeezed
        self.squeezed = 0

    def account(self, t: int) -> None:
        """Notice the beginning or end of pressure; a stalled reader runs when it ends."""
        if not self.total:
            return
        self._feed()
        self.low_water = min(self.low_water, self.free)
        if self.free <= self.reserve:
            if not self.pressure:
                self.pressure = True
                self.pressure_since = t
                self.pressure_episodes += 1
                self.on_episode("begin", t, self.free)
            return
        if not self.pressure:
            return
        self.pressure = False
        self.sunk = 0
        lasted = t - self.pressure_since
        self.pressure_ns += lasted
        self.pressure_longest_ns = max(self.pressure_longest_ns, lasted)
        self.free += self.rx_stalled
        self.rx_stalled = 0
        self.on_episode("end", t, self.pressure_since)

    def lend(self, pages: int, floor: int) -> bool:
        """Pages for the stock, if ``floor`` pages stay free."""
        if self.free - pages < floor:
            return False
        self.free -= pages
        self.stock += pages
        self.account(self.now)
        return True

    def take_back(self, pages: int) -> None:
        """Pages that the stock does not need any more."""
        self.stock -= pages
        self.free += pages
        self.account(self.now)

    def hold(self, pages: int) -> int:
        """Take pages for a receive buffer; returns the wheel slot that they are in."""
        self.free -= pages
        self.running.put(pages)
        slot = self.running.slot
        self.account(self.now)
        return slot

    def settle(self, slot: int, pages: int, fate: Fate) -> None:
        """A buffer's fate is known."""
        if not pages or not self.running.take(slot, pages):
            return
        if fate is Fate.DROPPED:
            self.free += pages
        elif fate is Fate.HOARDED:
            self.hoarded += pages
        else:
            self.rx_stalled += pages
        self.account(self.now)

    def wake(self) -> None:
        """Readers that did not read do so at last."""
        self.free += self.hoarded
        self.hoarded = 0
        self.wakes += 1
        self.account(self.now)

    def ask(self, pages: int) -> None:
        """Normal tasks ask for pages to dirty; what does not fit above the reserve waits."""
        self.demand += pages
        self.account(self.now)

    def swap(self, pages: int, level: int) -> None:
        """Tasks that leave ``level`` pages free want more, which others must write first.

        As on machines, 5/4 of ``pages`` are dirty, and what was freed is free again once there
        were so many.
        """
        dirtied = min(pages + pages // 4, self.free + self.clean)
        of_free = min(dirtied, self.free)
        self.free -= of_free
        self.clean -= dirtied - of_free
        self.dirty += dirtied
        self._squeeze(level)
        self.wanted += pages
        self.swap_level = level
        self.account(self.now)

    def give_up(self) -> None:
        """Tasks that wait for pages give up."""
        self.demand = 0
        if self.wanted and not self.in_window:
            self._release()
        self.wanted = 0
        self.account(self.now)

    def wash(self, pages: int) -> int:
        """Acknowledged writes turn their pages clean and free; returns how many were dirty."""
        cleaned = min(pages, self.dirty)
        self.dirty -= cleaned
        self.free += cleaned
        self.account(self.now)
        return cleaned

    def resize(self, total: int, reserve: int) -> bool:
        """New total and reserve; refused when the pages in use would not fit."""
        used = self.total - self.free
        if total < used or reserve >= total:
            return False
        if not self.total:
            self.low_water = total
        self.free = total - used
        self.total = total
        self.reserve = reserve
        self.border = reserve + margin(self.service_shift, self.ns_per_page)
        self.account(self.now)
        return True

    def reset(self, clean: int) -> None:
        """The node rebooted: nothing dirty, no buffer held, no window to come."""
        self.generation += 1
        self.clean = min(clean, self.total)
        self.free = self.total - self.clean
        self.dirty = self.demand = self.wanted = self.squeezed = self.rx_stalled = self.tx = 0
        self.hoarded = self.stock = self.sunk = 0
        self.wakes += 1
        self.in_window = False
        self.window = len(self.windows)
        self.running.slots = [0] * WHEEL_SLOTS
        self.account(self.now)
