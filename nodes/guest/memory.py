"""The memory of one life of a guest: its kernel's counters and windows, and the crunches on it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from nodes.guest import commands
from nodes.guest.config import AttendantConfig
from nodes.guest.crunch import Burst, WindowBook
from nodes.guest.events import counted, evidence
from nodes.guest.guest_clock import GuestClock
from nodes.guest.layout import Counters, Kind, Window
from nodes.guest.pressure import GuestPool, Pressure
from nodes.guest.ring import SharedMemory
from nodes.guest.scripts import Ask, Script, Scripts, must, patiently
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.packets import PAGE_BYTES
from reserve_agent.errors import BadInput, RunInvalid

_ATTEMPTS = 5
"""A record is the same twice, unless the module is writing it, which takes microseconds."""
_COUNTED_NS = 1_000_000_000
"""Longest time between two records of the counters."""


class GuestMemory:
    """What is known of a guest's memory, and what is done to it.

    Args:
        config: The attendant's.
        shared: What guest and host share.
        clock: The guest's.
        scripts: Carries out commands.
        record: Adds an event to the history.
        now: Returns the time, nanoseconds.

    Attributes:
        pool: The newest figures.
        pressure: The guest's memory pressure.
    """

    def __init__(
        self,
        config: AttendantConfig,
        shared: SharedMemory,
        clock: GuestClock,
        scripts: Scripts,
        record: Callable[[Event], None],
        now: Callable[[], int],
    ) -> None:
        self.pool = GuestPool()
        self.pressure = Pressure(clock, self.pool)
        self._config = config
        self._shared = shared
        self._clock = clock
        self._scripts = scripts
        self._record = record
        self._now = now
        self._book = WindowBook(config.windows, clock, self.pool)
        self._burst: Burst | None = None
        self._bursting: Script | None = None
        self._swaps = False
        self._counters: Counters | None = None
        self._recorded: tuple[int, ...] = ()
        self._recorded_ns = 0

    # --- what the kernel says

    def read(self, now_ns: int) -> None:
        """Take in what the module has published since the last time.

        Raises:
            RunInvalid: The kernel has panicked.
        """
        counters = self._shared.counters()
        if counters is not None and counters.panicked_ns:
            raise RunInvalid("the guest's kernel has panicked")
        for ask in self._book.due(now_ns) if self._clock.known else ():
            self._scripts.start(_asked(ask))
        if counters is None or not self._clock.known:
            return
        if self._counters is not None and counters.sequence == self._counters.sequence:
            return
        self._counters = counters
        self._read_windows(counters, now_ns)
        unread = -(-self._shared.agent.sink_bytes // PAGE_BYTES)
        self._record_all(self.pressure.counted(counters, unread))
        self.pool.dirty = counters.dirty_pages + counters.writeback_pages + self._written_pages()

    @property
    def writes_under_way(self) -> int:
        """Writes that have begun and not ended, also of a guest that stands still."""
        return sum(writing.begun_ns != 0 for writing in self._shared.agent.writing)

    def _written_pages(self) -> int:
        disk = self._config.disk
        return 0 if disk is None else self.writes_under_way * disk.request_blocks

    def _read_windows(self, counters: Counters, now_ns: int) -> None:
        while (record := self._first_window()) is not None:
            if record.reached_ns:
                self._book.first_reached()
            self._record_all(self.pressure.window(record))
            wants = self._burst if self._book.demand_of_first is not None else None
            if not record.freed_ns:
                if wants is not None and record.reached_ns:
                    freed = counters.held_pages - record.taken_pages
                    self._record_all(wants.freed(freed, now_ns))
                return
            if wants is not None:
                self._burst = None
                self._record_all(wants.over(record.refilled_pages, now_ns))
            self._record(self._book.first_ended(record))

    def _first_window(self) -> Window | None:
        """Return the record of the first window that is not known to have ended; None: no news."""
        number, before = self._book.first, b""
        for _ in range(_ATTEMPTS if number else 0):
            record = self._shared.window(number)
            if record is None or record.freed_ns or bytes(record) == before:
                return record
            before = bytes(record)
        return None

    def record_counters(
        self, now_ns: int, late_ns: int, channel_ns: int, *, at_once: bool = False
    ) -> bool:
        """Record the counters where the evidence of a loss has risen, or it is time; says whether.

        Args:
            now_ns: The time.
            late_ns: How long the agent stood still since the last record.
            channel_ns: How long a packet was under way from guest to membership since then.
            at_once: Whether to record them in any case.
        """
        counters = self._counters
        if counters is None:
            return False
        now = evidence(counters)
        due = at_once or now_ns - self._recorded_ns >= _COUNTED_NS
        if now == self._recorded and not due:
            return False
        self._recorded, self._recorded_ns = now, now_ns
        self._record(counted(counters, now_ns, late_ns, channel_ns))
        return True

    def close(self, now_ns: int) -> None:
        """The guest has no power any more."""
        self.pool.demand = self.pool.hoarded = self.pool.dirty = 0
        self._record_all(self.pressure.close(now_ns))

    def _record_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._record(event)

    # --- what is done to it

    def hold(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Hold windows of pressure: begin, end, and the free pages that are left."""
        self._book.add(windows)

    def burst(self, pages: int, start_ns: int) -> None:
        """Begin a writeback crunch at ``start_ns``.

        Raises:
            BadInput: There is one already, or nothing to swap to.
        """
        if self._config.disk is None:
            raise BadInput("burst: the node has no block device to swap to")
        if self._burst is not None:
            raise BadInput("burst: the last one is not over")
        self._burst = Burst(pages, self.pool)
        self._bursting = self._make_burst(pages, start_ns)
        self._scripts.start(self._bursting)

    def _make_burst(self, pages: int, start_ns: int) -> Script:
        settings = self._config.burst
        if not self._swaps and not settings.buffered:
            self._swaps = True
            yield from patiently(commands.swap(settings.swap_pages), self._now)
        dirty = commands.dirty(settings.dirty_pages, buffered=settings.buffered)
        yield from patiently(dirty, self._now)
        yield from must(self._book.demand(settings, pages, start_ns))

    def open_reader(self, port: int, *, flagged: bool) -> None:
        """Have a reader that does not read; whatever is sent to its port keeps its pages."""
        self._scripts.start(_open_reader(port, flagged=flagged))

    def wake(self) -> None:
        """Throw away what waits for that reader, and end it."""
        self._scripts.start(_asked(commands.sink(0)))

    def calm(self) -> None:
        """End what is held and what was to come; task and reader give their pages up."""
        self._book.clear()
        if self._bursting is not None:
            self._scripts.stop(self._bursting)
        self._scripts.start(self._give_up())

    def _give_up(self) -> Script:
        yield from must(Ask(Kind.CALM))
        yield from must(commands.sink(0))
        if not self._book.first or self._shared.window(self._book.first) is None:
            self._book.drop_first()  # it has not begun, and never will
            self._burst, self.pool.demand = None, 0
        yield from patiently(commands.dirty(0), self._now)
        if self._swaps:
            self._swaps = False
            # It may never have begun, or its device may have ended.
            yield from patiently(commands.swap(0), self._now, errno.EINVAL, errno.EIO)


def _asked(ask: Ask) -> Script:
    yield from must(ask)


def _open_reader(port: int, *, flagged: bool) -> Script:
    yield from must(commands.sink(port))
    if flagged:
        yield from must(commands.flag_sink())
