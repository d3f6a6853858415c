"""The writeback task of a node: dirty pages become writes, acknowledged writes free pages.

It submits, repeats and gives up writes. No clock and no connection: whoever drives it passes the
time, hands each request to the connection, and tells it how the connection does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from nodes.block.writeback import Dirtier, Request, Writeback, WritebackSettings
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import (
    DirtyProgress,
    IoDisconnected,
    IoReconnected,
    WriteAcknowledged,
    WriteFailed,
    WriteWaits,
)
from reserve_agent.contract.packets import HOLD_MILLI

RETRY_NS: Final = 200_000_000
"""A write that the target has refused is repeated after this."""
PROGRESS_NS: Final = 100_000_000
"""Least time between two reports of a burst's progress, and for which a write waits until that is
reported."""
GIVEN_UP: Final = "no connection within the time-out"


class PagePool(Protocol):
    """A node's pages, as far as writeback needs them.

    Its ``state`` has ``dirty``, the pages that are dirty now, and ``demand``, those that tasks have
    asked for and still wait for. Where a kernel swaps it has ``wanted`` as well, those that others
    must be written for, and ``reserve``.
    """

    state: Any

    def dirty(self, pages: int) -> None:
        """Have normal tasks ask for pages to dirty; those that the pool refuses wait."""

    def swap(self, pages: int, level: int) -> None:
        """Have tasks that leave ``level`` pages free want more, which must be written first."""

    def clean(self, pages: int) -> int:
        """Free dirty pages that were written; return how many were dirty."""

    def calm(self) -> None:
        """Have the tasks that wait give up."""


class WritebackTask:
    """One node's writeback; ``emit`` is told of every event.

    All times are nanoseconds of one clock. A region into which not one request fits is BadInput.
    """

    def __init__(
        self,
        settings: WritebackSettings,
        pages: PagePool,
        emit: Callable[[Event], None],
        now_ns: int,
    ) -> None:
        self._settings = settings
        self._pages = pages
        self._emit = emit
        self._writeback = Writeback(settings)
        self._dirtier = Dirtier(0 if settings.swaps else settings.dirty_rate, now_ns)
        self._retries: list[tuple[int, int]] = []  # when, and the request's sequence number
        self._up = False
        self._was_up = False
        self._given_up = False
        self._progress_due_ns = now_ns
        self._reported = 0
        self._forgone = 0  # pages of bursts that tasks have asked for, and given up
        self._swaps: list[tuple[int, int]] = []  # when, and how many pages

    @property
    def due_ns(self) -> int | None:
        """When there is a request that nothing but the clock tells of; None: there is none."""
        return self._writeback.due_ns if self._up else None

    @property
    def in_flight(self) -> dict[int, Request]:
        """Requests that are not acknowledged, by sequence number."""
        return self._writeback.in_flight

    # --- pages

    def dirty(self, now_ns: int) -> None:
        """Have the tasks ask for the pages that they want by now."""
        due = self._dirtier.due(now_ns)
        if due:
            self._pages.dirty(due)
        for start_ns, pages in [one for one in self._swaps if one[0] <= now_ns]:
            self._swaps.remove((start_ns, pages))
            self._dirtier.burst_dirtied += pages
            self._pages.swap(pages, self._pages.state.reserve * HOLD_MILLI // 1000)

    def burst(self, pages: int, rate: float, start_ns: int) -> None:
        """Have the tasks ask for ``pages`` more, ``rate`` a second, from ``start_ns`` on.

        Tasks whose kernel swaps want all at once.
        """
        if self._settings.swaps:
            self._dirtier.burst_pages += pages
            self._swaps.append((start_ns, pages))
        else:
            self._dirtier.burst(pages, rate, start_ns)

    def calm(self) -> None:
        """Give up what is left of the burst, and what tasks wait for: they never get it."""
        self._swaps.clear()
        self._dirtier.calm()
        self._forgone = self._dirtier.burst_dirtied - self._dirtied
        self._pages.calm()

    @property
    def _dirtied(self) -> int:
        """Pages of bursts that tasks have got."""
        state = self._pages.state
        waiting: int = state.wanted if self._settings.swaps else state.demand
        return max(0, self._dirtier.burst_dirtied - self._forgone - waiting)

    def report_progress(self, now_ns: int) -> None:
        """Report how far a burst has come, where that has changed, and which write still waits.

        To be called often.
        """
        dirtier = self._dirtier
        if now_ns < self._progress_due_ns:
            return
        self._progress_due_ns = now_ns + PROGRESS_NS
        since = self._writeback.waits_since_ns
        if since is not None and now_ns - since >= PROGRESS_NS:
            self._emit(WriteWaits(t=now_ns, submitted=since))
        if dirtier.burst_pages == 0:
            return
        if (dirtied := self._dirtied) != self._reported:
            self._reported = dirtied
            self._emit(
                DirtyProgress(
                    t=now_ns,
                    requested=dirtier.burst_pages,
                    asked=dirtier.burst_dirtied,
                    dirtied=dirtied,
                )
            )

    def full_ns(self) -> int | None:
        """Return how long after the last ``dirty`` a request is full by the steady dirtying.

        None: never. A request that waits for something else is full already.
        """
        pages = self._pages.state.dirty + self._pages.state.demand
        missing = self._settings.request_blocks * (len(self.in_flight) + 1) - pages
        return self._dirtier.steady_ns(max(0, missing))

    # --- writes

    def next(self, now_ns: int) -> Request | None:
        """Return the next request to hand to the connection: a repeated one, a new one, or None.

        New requests are made without a connection too, once there was one: they wait for the next
        connection, as in a block queue.
        """
        if self._up and self._retries and self._retries[0][0] <= now_ns:
            return self.in_flight[self._retries.pop(0)[1]]
        if not self._was_up:
            return None
        request = self._writeback.next(self._pages.state.dirty, now_ns)
        if request is not None and self._given_up:
            self._report_failure(request.sequence, GIVEN_UP, now_ns)
        return request

    def acknowledged(self, sequence: int, now_ns: int) -> None:
        """The target has written a request: its pages are free, but for those that a task keeps."""
        done = self._writeback.acknowledged(sequence, now_ns)
        if not done.own:
            self._pages.clean(done.blocks)
        self._emit(
            WriteAcknowledged(
                t=now_ns,
                seq=sequence,
                incarnation=self._settings.incarnation,
                block=done.block,
                blocks=done.blocks,
                submitted=done.submitted_ns,
                transport=self._settings.transport,
            )
        )

    def failed(self, sequence: int, error: str, now_ns: int) -> None:
        """The target has refused a request: its pages stay dirty, and it is repeated."""
        self._report_failure(sequence, error, now_ns)
        self._retries.append((now_ns + RETRY_NS, sequence))

    def _report_failure(self, sequence: int, error: str, now_ns: int) -> None:
        transport = self._settings.transport
        self._emit(WriteFailed(t=now_ns, seq=sequence, error=error, transport=transport))

    # --- the connection

    def connected(self, now_ns: int, *, first: bool) -> list[Request]:
        """There is a connection; return the requests to write again on it, all those in flight."""
        if first:
            self._emit(DaemonReady(t=now_ns, name="initiator"))
        else:
            self._emit(IoReconnected(t=now_ns, transport=self._settings.transport))
        self._up = self._was_up = True
        self._given_up = False
        self._retries.clear()
        return list(self.in_flight.values())

    def disconnected(self, reason: str, now_ns: int) -> None:
        """The connection is lost: requests in flight wait for the next."""
        self._up = False
        self._emit(IoDisconnected(t=now_ns, error=reason, transport=self._settings.transport))

    def given_up(self, now_ns: int) -> None:
        """No connection came in time: every request fails until there is one.

        The pages of those in flight stay dirty, and they are written on the next connection.
        """
        self._given_up = True
        for sequence in self.in_flight:
            self._report_failure(sequence, GIVEN_UP, now_ns)
