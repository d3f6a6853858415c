"""The common part of the transports: a connection that is made, used and lost without blocking."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.socket_options import SO_SNDBUFFORCE

Clock = Callable[[], int]


class LoginRefused(BadInput):
    """The target does not accept the initiator's name or secret."""


@dataclass(frozen=True)
class Endpoint:
    """Where a target is.

    Attributes:
        address: IPv4 address.
        port: TCP port.
        send_buffer: Bytes of requests that the socket must take at once; None leaves it to TCP.
            Initiators ask for such a buffer too (open-iscsi: node.conn[0].tcp.window_size, 524288),
            so that the queue depth alone bounds what is in flight.
    """

    address: str
    port: int
    send_buffer: int | None = None

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Reports:
    """Functions that are told of writes; only ``Transport.serve`` calls them.

    Attributes:
        acknowledged: Is given the sequence number of each acknowledged write.
        failed: Is given the sequence number of each failed write, and the reason.
    """

    acknowledged: Callable[[int], None]
    failed: Callable[[int, str], None]


class Transport(Protocol):
    """One connection by which a node's writes reach its target.

    The constructor begins to connect and does not wait; ``serve`` goes on with that until
    ``ready``. A connection that is lost stays lost: its owner makes another transport. Writes that
    were in flight are lost with it, and are not reported.
    """

    name: str

    @property
    def ready(self) -> bool:
        """Whether writes can be submitted."""

    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """Submit a write; ``serve`` reports it as acknowledged or failed.

        Raises:
            CrunchbedError: The connection is lost.
        """

    def serve(self, timeout: float) -> None:
        """Move the connection along for at most ``timeout`` seconds.

        Raises:
            LoginRefused: The target does not want this initiator.
            CrunchbedError: The connection is lost, or could not be made.
        """

    def close(self) -> None:
        """Drop the connection without a word to the target."""


def wait_ready(selector: selectors.BaseSelector, fd: int, events: int, timeout: float) -> int:
    """Wait for ``events`` of ``fd``; return those that came.

    The ``data`` of every other key that is ready is called.
    """
    selector.modify(fd, events)
    came = 0
    for key, ready in selector.select(timeout):
        if key.fd == fd:
            came = ready
        else:
            key.data()
    return came


def force_send_buffer(fd: int, size: int | None) -> None:
    """Set a socket's send buffer in bytes; the kernel doubles it, for its own overhead."""
    if size is None:
        return
    with socket.socket(fileno=os.dup(fd)) as handle, contextlib.suppress(PermissionError):
        handle.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, size)


def lost(name: str, reason: str) -> CrunchbedError:
    """Return the error that says that a connection is lost, and why."""
    return CrunchbedError(f"{name} connection lost{f': {reason}' if reason else ''}")
