"""The NBD initiator: libnbd's asynchronous calls behind a three-method transport."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Callable
from typing import Protocol

import nbd

from reserve_agent.errors import CrunchbedError

_SO_SNDBUFFORCE = 32  # from asm-generic/socket.h
Acknowledge = Callable[[int], None]
Fail = Callable[[int, str], None]


class Transport(Protocol):
    """How a node's writes reach its target."""

    name: str

    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """Submit; one of the two callbacks follows, from ``serve``."""

    def serve(self, timeout: float) -> None:
        """Move the connection along for at most ``timeout`` seconds."""

    def close(self) -> None:
        """Drop the connection."""


def _force_send_buffer(fd: int, size: int) -> None:
    """The kernel doubles it, for its own overhead; beyond wmem_max takes CAP_NET_ADMIN."""
    with socket.socket(fileno=os.dup(fd)) as handle, contextlib.suppress(PermissionError):
        handle.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)


class NbdTransport:
    """One NBD connection.

    Args:
        address: IPv4 address of the target.
        port: TCP port.
        selector: Waits for the connection and for whatever else its owner registered there;
            other keys' ``data`` is called when they are ready.
        acknowledge: Called with the sequence number of each acknowledged write.
        fail: Called with the sequence number and reason of each failed write.
        send_buffer: Bytes of requests that the socket must take at once. Initiators ask for as
            much (open-iscsi: node.conn[0].tcp.window_size, 524288): the queue depth is what
            bounds them. None leaves it to TCP.
    """

    name = "nbd"

    def __init__(
        self,
        address: str,
        port: int,
        selector: selectors.BaseSelector,
        acknowledge: Acknowledge,
        fail: Fail,
        send_buffer: int | None = None,
    ) -> None:
        self._selector = selector
        self._acknowledge = acknowledge
        self._fail = fail
        self._completed: list[tuple[int, int]] = []
        self._handle = nbd.NBD()
        try:
            self._handle.connect_tcp(address, str(port))
        except nbd.Error as error:
            raise CrunchbedError(f"NBD target {address}:{port}: {error.string}") from error
        self._fd = int(self._handle.aio_get_fd())
        if send_buffer is not None:
            _force_send_buffer(self._fd, send_buffer)
        selector.register(self._fd, selectors.EVENT_READ)

    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """Submit one write."""

        def completed(error: object) -> int:
            # Only a note: libnbd holds the handle's lock here, and a call would wait for ever.
            self._completed.append((sequence, getattr(error, "value", 0)))
            return 1

        # libnbd keeps the buffer alive until the completion callback has run.
        buffer = nbd.Buffer.from_bytearray(data)
        try:
            self._handle.aio_pwrite(buffer, offset, completion=completed)
        except nbd.Error as error:
            raise CrunchbedError(f"NBD write: {error.string}") from error

    def serve(self, timeout: float) -> None:
        """Read acknowledgements and push out what is queued.

        Raises:
            CrunchbedError: The connection is lost. What was in flight has failed with it, and
                that is all that is said of it.
        """
        direction = self._handle.aio_get_direction()
        events = selectors.EVENT_READ
        if direction & nbd.AIO_DIRECTION_WRITE:
            events |= selectors.EVENT_WRITE
        self._selector.modify(self._fd, events)
        lost: nbd.Error | None = None
        for key, ready in self._selector.select(timeout):
            if key.fd != self._fd:
                key.data()
                continue
            try:
                self._notify(ready)
            except nbd.Error as error:
                lost = error
        self._report(alive := not (self._handle.aio_is_dead() or self._handle.aio_is_closed()))
        if lost is not None or not alive:
            reason = f": {lost.string}" if lost is not None else ""
            raise CrunchbedError(f"NBD connection lost{reason}")

    def _notify(self, ready: int) -> None:
        direction = self._handle.aio_get_direction()
        if ready & selectors.EVENT_READ and direction & nbd.AIO_DIRECTION_READ:
            self._handle.aio_notify_read()
        elif ready & selectors.EVENT_WRITE and direction & nbd.AIO_DIRECTION_WRITE:
            self._handle.aio_notify_write()

    def _report(self, alive: bool) -> None:
        completed, self._completed = self._completed, []
        for sequence, code in completed:
            if not code:
                self._acknowledge(sequence)
            elif alive:
                self._fail(sequence, f"errno {code}")

    def close(self) -> None:
        """Drop the connection without ceremony."""
        self._selector.unregister(self._fd)
        del self._handle  # libnbd closes a handle that nobody holds
