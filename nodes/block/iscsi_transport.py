"""The iSCSI initiator: libiscsi's asynchronous calls behind the transports' methods."""

from __future__ import annotations

import selectors
import time

from nodes.block import libiscsi
from nodes.block.config import IscsiConfig
from nodes.block.libiscsi import Session
from nodes.block.pattern import BLOCK_BYTES
from nodes.block.timeouts import Keepalive
from nodes.block.transport import LUN, TARGET_NAME, Endpoint, LoginRefused, Reports, Transport
from reserve_agent.errors import CrunchbedError

_REFUSED = ("authentication failure", "authorization failure", "authentication method")


class IscsiTransport(Transport):
    """One iSCSI session with one connection.

    The name of the initiator ends with ``initiator``; ``index`` tells the sessions of nodes apart.
    """

    name = "iSCSI"

    def __init__(
        self,
        endpoint: Endpoint,
        initiator: str,
        index: int,
        config: IscsiConfig,
        selector: selectors.BaseSelector,
        reports: Reports,
    ) -> None:
        super().__init__(endpoint, selector, reports)
        self._login_timeout_ns = config.login_timeout
        self._keepalive = Keepalive(
            config.noop_out_interval, config.noop_out_timeout, self._started_ns
        )
        self._login_status: int | None = None
        self._session = Session(
            f"iqn.2026-11.invalid.crunchbed:{initiator}",
            TARGET_NAME,
            index,
            config.chap,
            lambda sequence, status: self._completed.append((sequence, status)),
            self._connected,
        )
        try:
            self._watch(self._session.connect(str(endpoint), LUN))
        except CrunchbedError as error:
            self._session.close()
            raise self._not_connected(str(error)) from error

    def _connected(self, status: int) -> None:
        self._login_status = status

    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """See ``Transport``."""
        try:
            self._session.write(sequence, LUN, offset // BLOCK_BYTES, data, BLOCK_BYTES)
        except CrunchbedError as error:
            raise self._lost(str(error)) from error

    def serve(self, timeout: float) -> None:
        """See ``Transport``."""
        wanted = self._session.events
        events = selectors.EVENT_READ if wanted & libiscsi.POLLIN else 0
        events |= selectors.EVENT_WRITE if wanted & libiscsi.POLLOUT else 0
        came = self._wait(events or selectors.EVENT_READ, timeout)
        reason = self._service(came) if came else None
        self._report()
        if not self.ready:
            self._log_in(reason)
        elif reason is not None or self._login_status != libiscsi.GOOD:
            raise self._lost(reason or self._session.error)
        else:
            self._keep_alive(time.monotonic_ns())

    def _service(self, came: int) -> str | None:
        """Read and write what is possible; return why the connection is lost, or None."""
        if came & selectors.EVENT_READ:
            self._keepalive.heard(time.monotonic_ns())
        events = libiscsi.POLLIN if came & selectors.EVENT_READ else 0
        events |= libiscsi.POLLOUT if came & selectors.EVENT_WRITE else 0
        if self._session.service(events):
            return None
        # libiscsi's own text after a loss is only that it may not connect again.
        return "it was closed" if self.ready else self._session.error

    def _log_in(self, reason: str | None) -> None:
        if self._login_status == libiscsi.GOOD:
            self.ready = True
            self._keepalive.heard(time.monotonic_ns())
            return
        if self._login_status is not None or reason is not None:
            error = self._not_connected(self._session.error or reason or "the login failed")
            if any(words in str(error).lower() for words in _REFUSED):
                raise LoginRefused(str(error))
            raise error
        if self._age_ns() >= self._login_timeout_ns:
            raise self._not_connected("no answer within the login time-out")

    def _keep_alive(self, now_ns: int) -> None:
        if self._keepalive.ask_now(now_ns):
            self._session.ask()
        if self._keepalive.dead(now_ns):
            raise self._lost("a NOP-Out was not answered in time")

    def _report(self) -> None:
        completed, self._completed = self._completed, []
        for sequence, status in completed:
            if status == libiscsi.GOOD:
                self._reports.acknowledged(sequence)
            elif status != libiscsi.CANCELLED:  # a loss cancels the writes in flight
                self._reports.failed(sequence, self._session.error or f"SCSI status {status:#x}")

    def close(self) -> None:
        """See ``Transport``; there is no logout."""
        super().close()
        self._session.close()
