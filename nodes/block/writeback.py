"""Which dirty pages are written when, and when tasks dirty them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reserve_agent.errors import BadInput

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
    """

    sequence: int
    block: int
    blocks: int
    submitted_ns: int


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
        swaps: Whether the pages of a burst are those of a kernel that swaps: used by tasks already,
            and to be written before others have them.
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
        self._sequence = 0
        self._busy: set[int] = set()
        self.in_flight: dict[int, Request] = {}

    def next(self, dirty: int, now_ns: int) -> Request | None:
        """Return the next request, or None while the queue is full or too few pages are dirty.

        Also None while an older write of the same blocks is in flight: the target might carry the
        older one out last.
        """
        unsent = dirty - len(self.in_flight) * self.request_blocks
        if len(self.in_flight) >= self._queue_depth or unsent < self.request_blocks:
            return None
        slot = self._sequence % self._slots
        block = self._first + slot * self.request_blocks
        if block in self._busy:
            return None
        self._sequence += 1
        request = Request(self._sequence, block, self.request_blocks, now_ns)
        self.in_flight[request.sequence] = request
        self._busy.add(block)
        return request

    def acknowledged(self, sequence: int) -> Request:
        """Take a request that the target has acknowledged out of the queue, and return it."""
        done = self.in_flight.pop(sequence)
        self._busy.remove(done.block)
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
