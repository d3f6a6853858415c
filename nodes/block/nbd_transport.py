"""The NBD initiator: libnbd's asynchronous calls behind the transports' methods."""

from __future__ import annotations

import selectors
import time

import nbd

from nodes.block.timeouts import Requests
from nodes.block.transport import Endpoint, Reports, Transport
from reserve_agent.errors import CrunchbedError

_CONNECT_NS = 1_000_000_000
"""An attempt to connect lasts at most this. NBD has no name for this time: nbd-client leaves it to
TCP, which repeats a lost SYN for the second time after 3 s and for the third time after 7 s."""


class NbdTransport(Transport):
    """One NBD connection.

    A request without an answer for ``timeout_ns`` ends it, as in the kernel's driver (nbd.c,
    ``nbd_xmit_timeout``); 0 waits for ever.
    """

    name = "NBD"

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_ns: int,
        selector: selectors.BaseSelector,
        reports: Reports,
    ) -> None:
        super().__init__(endpoint, selector, reports)
        self._requests = Requests(timeout_ns)
        self._handle = nbd.NBD()
        try:
            self._handle.aio_connect_tcp(endpoint.address, str(endpoint.port))
            self._watch(int(self._handle.aio_get_fd()))
        except nbd.Error as error:
            raise self._not_connected(error.string) from error

    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """See ``Transport``."""

        def completed(error: object) -> int:
            # libnbd holds the handle's lock here: a call of the handle would wait for ever.
            self._completed.append((sequence, getattr(error, "value", 0)))
            return 1

        # libnbd keeps the buffer alive until the completion callback has run.
        buffer = nbd.Buffer.from_bytearray(data)
        try:
            self._handle.aio_pwrite(buffer, offset, completion=completed)
        except nbd.Error as error:
            raise CrunchbedError(f"NBD write: {error.string}") from error
        self._requests.sent(sequence, time.monotonic_ns())

    def serve(self, timeout: float) -> None:
        """See ``Transport``."""
        direction = self._handle.aio_get_direction()
        events = selectors.EVENT_READ
        if direction & nbd.AIO_DIRECTION_WRITE:
            events |= selectors.EVENT_WRITE
        if not direction & nbd.AIO_DIRECTION_READ and events != selectors.EVENT_READ:
            events = selectors.EVENT_WRITE
        reason = self._notify(self._wait(events, timeout))
        alive = not (self._handle.aio_is_dead() or self._handle.aio_is_closed())
        self._report(alive)
        if not self.ready:
            self._connect(alive, reason)
        elif reason is not None or not alive:
            raise self._lost(reason)
        elif self._requests.overdue(time.monotonic_ns()):
            raise self._lost("a request was not answered in time")

    def _notify(self, came: int) -> str | None:
        """Read or write what is possible; return why that failed, or None."""
        direction = self._handle.aio_get_direction()
        try:
            if came & selectors.EVENT_READ and direction & nbd.AIO_DIRECTION_READ:
                self._handle.aio_notify_read()
            elif came & selectors.EVENT_WRITE and direction & nbd.AIO_DIRECTION_WRITE:
                self._handle.aio_notify_write()
        except nbd.Error as error:
            return str(error.string)
        return None

    def _connect(self, alive: bool, reason: str | None) -> None:
        if reason is not None or not alive:
            raise self._not_connected(reason or "it hung up")
        self.ready = bool(self._handle.aio_is_ready())
        if not self.ready and self._age_ns() >= _CONNECT_NS:
            raise self._not_connected("no answer")

    def _report(self, alive: bool) -> None:
        completed, self._completed = self._completed, []
        for sequence, code in completed:
            self._requests.answered(sequence)
            if not code:
                self._reports.acknowledged(sequence)
            elif alive:
                self._reports.failed(sequence, f"errno {code}")

    def close(self) -> None:
        """See ``Transport``."""
        super().close()
        del self._handle  # libnbd closes a handle without references
