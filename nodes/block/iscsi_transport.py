"""The iSCSI initiator: libiscsi's asynchronous calls behind the transports' methods."""

from __future__ import annotations

import os
import selectors
import socket
import time
from typing import Final

from nodes.block import libiscsi
from nodes.block.config import IscsiConfig
from nodes.block.libiscsi import Session
from nodes.block.pattern import BLOCK_BYTES
from nodes.block.timeouts import Keepalive
from nodes.block.transport import (
    Clock,
    Endpoint,
    LoginRefused,
    Reports,
    force_send_buffer,
    lost,
    wait_ready,
)
from reserve_agent.errors import CrunchbedError

TARGET_NAME: Final = "iqn.2026-11.invalid.crunchbed:disk"
LUN: Final = 1
"""Logical unit of the disk; tgt keeps 0 for a controller of its own."""
_REFUSED = ("authentication failure", "authorization failure", "authentication method")


class IscsiTransport:
    """One iSCSI session with one connection; see ``Transport``.

    Args:
        endpoint: Where the target is.
        initiator: Last part of the initiator's name.
        index: Tells the sessions of different nodes apart.
        config: Time-outs and secret.
        selector: See ``NbdTransport``.
        reports: Is told of writes.
        clock: Nanoseconds.
    """

    name = "iscsi"

    def __init__(
        self,
        endpoint: Endpoint,
        initiator: str,
        index: int,
        config: IscsiConfig,
        selector: selectors.BaseSelector,
        reports: Reports,
        clock: Clock = time.monotonic_ns,
    ) -> None:
        self._endpoint = endpoint
        self._config = config
        self._selector = selector
        self._reports = reports
        self._clock = clock
        self._keepalive: Keepalive | None = None
        self._login_status: int | None = None
        self._completed: list[tuple[int, int]] = []
        self._started_ns = clock()
        self._session = Session(
            f"iqn.2026-11.invalid.crunchbed:{initiator}",
            TARGET_NAME,
            index,
            config.chap,
            lambda sequence, status: self._completed.append((sequence, status)),
            self._connected,
        )
        try:
            self._fd = self._session.connect(str(endpoint), LUN)
        except CrunchbedError as error:
            self._session.close()
            raise self._not_connected(str(error)) from error
        force_send_buffer(self._fd, endpoint.send_buffer)
        # A descriptor of its own: libiscsi may close the connection's while it is served.
        self._watched = socket.socket(fileno=os.dup(self._fd))
        selector.register(self._watched, selectors.EVENT_READ)

    @property
    def ready(self) -> bool:
        """Whether the login is through and the disk has answered."""
        return self._keepalive is not None

    def _connected(self, status: int) -> None:
        self._login_status = status

    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """Submit one write."""
        try:
            self._session.write(sequence, LUN, offset // BLOCK_BYTES, data, BLOCK_BYTES)
        except CrunchbedError as error:
            raise lost("iSCSI", str(error)) from error

    def serve(self, timeout: float) -> None:
        """See ``Transport``."""
        wanted = self._session.events
        events = selectors.EVENT_READ if wanted & libiscsi.POLLIN else 0
        events |= selectors.EVENT_WRITE if wanted & libiscsi.POLLOUT else 0
        fd = self._watched.fileno()
        came = wait_ready(self._selector, fd, events or selectors.EVENT_READ, timeout)
        reason = self._service(came) if came else None
        self._report()
        if self._keepalive is None:
            self._log_in(reason)
        elif reason is not None or self._login_status != libiscsi.GOOD:
            raise lost("iSCSI", reason or self._session.error)
        else:
            self._keep_alive(self._keepalive)

    def _service(self, came: int) -> str | None:
        """Read and write what is possible; return why the connection is lost, or None."""
        if self._keepalive is not None and came & selectors.EVENT_READ:
            self._keepalive.heard(self._clock())
        events = libiscsi.POLLIN if came & selectors.EVENT_READ else 0
        events |= libiscsi.POLLOUT if came & selectors.EVENT_WRITE else 0
        if self._session.service(events):
            return None
        # libiscsi's own text after a loss is only that it may not connect again.
        return "it was closed" if self.ready else self._session.error

    def _log_in(self, reason: str | None) -> None:
        if self._login_status == libiscsi.GOOD:
            config = self._config
            self._keepalive = Keepalive(
                config.noop_out_interval, config.noop_out_timeout, self._clock()
            )
            return
        if self._login_status is not None or reason is not None:
            error = self._session.error or reason or "the login failed"
            if any(words in error.lower() for words in _REFUSED):
                raise LoginRefused(self._text(error))
            raise self._not_connected(error)
        if self._clock() - self._started_ns >= self._config.login_timeout:
            raise self._not_connected("no answer within the login time-out")

    def _text(self, reason: str) -> str:
        return f"iSCSI target {self._endpoint}: {reason}"

    def _not_connected(self, reason: str) -> CrunchbedError:
        return CrunchbedError(self._text(reason))

    def _keep_alive(self, keepalive: Keepalive) -> None:
        now = self._clock()
        if keepalive.ask_now(now):
            self._session.ask()
        if keepalive.dead(now):
            raise lost("iSCSI", "a NOP-Out was not answered in time")

    def _report(self) -> None:
        completed, self._completed = self._completed, []
        for sequence, status in completed:
            if status == libiscsi.GOOD:
                self._reports.acknowledged(sequence)
            elif status != libiscsi.CANCELLED:  # a loss cancels the writes in flight
                self._reports.failed(sequence, self._session.error or f"SCSI status {status:#x}")

    def close(self) -> None:
        """Drop the connection without a logout."""
        self._selector.unregister(self._watched)
        self._watched.close()
        self._session.close()
