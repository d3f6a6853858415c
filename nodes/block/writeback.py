"""Which dirty pages are written when, and when tasks dirty them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from reserve_agent.errors import BadInput

OWN_WRITES: Final = 4
"""Tasks that write pages which they keep, each one write after the other: as many as a machine's
agent has (``crunchbed/backends/machines/disk.py``)."""
TURN_PAGES: Final = 32
"""Pages that reclaim looks at in a turn: SWAP_CLUSTER_MAX (include/linux/swap.h). Machines that
stand still have 32 pages under writeback, those that write 16 on average (docs/fidelity.md)."""
TURN_NS: Final = 21_000_000
"""Time of such a turn: machines had 4,000 pages in 1.6 to 2.8 s (docs/fidelity.md)."""
_MARGIN_NS: Final = 1_000
"""A share of a page that is owed is a number with a rounding error."""


@dataclass(frozen=True)
class Request:
    """One block write.

    Attributes:
        sequence: Counts from 1 in each incarnation of a node.
        block: First block on the device.
        blocks: How many blocks of 4 KiB; as many pages are dirty until it is acknowledged.
        submitted_ns: CLOCK_MONOTONIC when it was handed to the transport.
        own: Whether it is of pages that a task keeps, and frees none.
    """

    sequence: int
    block: int
    blocks: int
    submitted_ns: int
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class WritebackSettings:
    """What a node writes.

    Attributes:
        incarnation: How often the node has booted.
        transport: ``nbd`` or ``iscsi``.
        first_block: First block of the node's region of the device.
        region_blocks: Length of the region in blocks of 4 KiB.
        queue_depth: Requests in flight at most. This throttle makes the socket a candidate for
            SO_MEMALLOC.
        request_blocks: Blocks of one request.
        dirty_rate: Pages a second that normal tasks dirty all the time.
        swaps: Whether nodes write as those do whose kernel swaps. The pages of a burst are used by
            tasks already, and to be written before others have them. What tasks write all the time
            is of pages that they keep (O_DIRECT), so that no shortage stops them.
    """

    incarnation: int
    transport: str
    first_block: int
    region_blocks: int
    queue_depth: int
    request_blocks: int
    dirty_rate: float
    swaps: bool = False


class Writeback:
    """Writes a node's region of the device from start to end, again and again.

    Raises:
        BadInput: Not one request fits into the region.
    """

    def __init__(self, settings: WritebackSettings) -> None:
        region, self.request_blocks = settings.region_blocks, settings.request_blocks
        self._first = settings.first_block
        self._slots = region // self.request_blocks
        if not self._slots:
            raise BadInput(f"a request of {self.request_blocks} blocks in a region of {region}")
        self._queue_depth = settings.queue_depth
        self._swaps = settings.swaps
        writers = min(OWN_WRITES, settings.queue_depth) if settings.swaps else 0
        # A task waits for its write, and then so long that all of them write at the rate.
        rate = settings.dirty_rate
        self._pause_ns = round(writers * self.request_blocks * 1e9 / rate) if rate else 0
        self._idle = [0] * (writers if rate else 0)  # when each task that has none writes next
        self._own = 0  # requests in flight of pages that tasks keep
        self._turn_ends_ns = 0
        self._turn_left = 0
        self._sequence = 0
        self._busy: set[int] = set()
        self.in_flight: dict[int, Request] = {}

    @property
    def due_ns(self) -> int | None:
        """When a task writes next that keeps its pages; None: all of them wait for their writes."""
        return self._idle[0] if self._idle else None

    @property
    def waits_since_ns(self) -> int | None:
        """When the oldest write of pages that tasks keep was submitted; None without one."""
        own = (request.submitted_ns for request in self.in_flight.values() if request.own)
        return min(own, default=None) if self._own else None

    def next(self, dirty: int, now_ns: int) -> Request | None:
        """Return the next request, or None while the queue is full or too few pages are dirty.

        Also None while an older write of the same blocks is in flight: the target might carry the
        older one out last; and where the kernel swaps, until its next turn.
        """
        own = bool(self._idle) and self._idle[0] <= now_ns
        if len(self.in_flight) >= self._queue_depth or not (own or self._unsent(dirty, now_ns)):
            return None
        slot = self._sequence % self._slots
        block = self._first + slot * self.request_blocks
        if block in self._busy:
            return None
        self._sequence += 1
        if own:
            heappop(self._idle)
        self._own += own
        self._turn_left -= self.request_blocks * (not own)
        request = Request(self._sequence, block, self.request_blocks, now_ns, own)
        self.in_flight[request.sequence] = request
        self._busy.add(block)
        return request

    def _unsent(self, dirty: int, now_ns: int) -> bool:
        """Whether enough pages are dirty and not in flight, and may be written now."""
        writing = (len(self.in_flight) - self._own) * self.request_blocks
        if dirty - writing < self.request_blocks:
            return False
        if self._swaps and now_ns >= self._turn_ends_ns:
            self._turn_ends_ns = now_ns + TURN_NS
            self._turn_left = TURN_PAGES - writing
        return not self._swaps or self._turn_left > 0

    def acknowledged(self, sequence: int, now_ns: int = 0) -> Request:
        """Take a request that the target has acknowledged out of the queue, and return it."""
        done = self.in_flight.pop(sequence)
        self._busy.remove(done.block)
        if done.own:
            self._own -= 1
            heappush(self._idle, now_ns + self._pause_ns)
        return done


class Dirtier:
    """Normal tasks that dirty pages: ``rate`` pages a second, and bursts on top of it."""

    def __init__(self, rate: float, now_ns: int) -> None:
        self._rate = rate
        self._last_ns = now_ns
        self._owed = 0.0
        self._burst_left = 0
        self._burst_rate = 0.0
        self._burst_owed = 0.0
        self._burst_from_ns = 0
        self.burst_pages = 0
        self.burst_dirtied = 0

    def burst(self, pages: int, rate: float, start_ns: int) -> None:
        """Dirty ``pages`` more at ``rate`` pages a second, from ``start_ns`` on."""
        self.burst_pages += pages
        self._burst_left += pages
        self._burst_rate = rate
        self._burst_from_ns = start_ns

    def calm(self) -> None:
        """Drop what is left of the burst."""
        self._burst_left = 0

    def steady_ns(self, pages: int) -> int | None:
        """Return how long after the last ``due`` tasks want so many pages; None: never."""
        return round((pages - self._owed) / self._rate * 1e9) + _MARGIN_NS if self._rate else None

    def due(self, now_ns: int) -> int:
        """Return how many whole pages the tasks want to dirty since the last call."""
        seconds = (now_ns - self._last_ns) / 1e9
        self._owed += self._rate * seconds
        if self._burst_left and now_ns > self._burst_from_ns:
            since = max(self._last_ns, self._burst_from_ns)
            self._burst_owed += self._burst_rate * (now_ns - since) / 1e9
        self._last_ns = now_ns
        burst = min(int(self._burst_owed), self._burst_left)
        self._burst_owed -= burst
        self._burst_left -= burst
        self.burst_dirtied += burst
        steady = int(self._owed)
        self._owed -= steady
        return steady + burst
