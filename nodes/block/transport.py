"""What the transports have in common: a connection that is made, used and lost without blocking."""

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
    """The target knows the initiator's name or secret as another one."""


@dataclass(frozen=True)
class Endpoint:
    """Where a target is.

    Attributes:
        address: IPv4 address.
        port: TCP port.
        send_buffer: Bytes of requests that the socket must take at once. Initiators ask for as
            much (open-iscsi: node.conn[0].tcp.window_size, 524288): the queue depth is what
            bounds them. None leaves it to TCP.
    """

    address: str
    port: int
    send_buffer: int | None = None

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Reports:
    """Who is told of writes; called from ``Transport.serve`` alone.

    Attributes:
        acknowledged: Gets the sequence number of each acknowledged write.
        failed: Gets the sequence number and the reason of each failed write.
    """

    acknowledged: Callable[[int], None]
    failed: Callable[[int, str], None]


class Transport(Protocol):
    """One connection by which a node's writes reach its target.

    The constructor begins to connect and does not wait; ``serve`` goes on with that, until
    ``ready``. A connection that is lost stays lost: its owner makes another one. What was in
    flight has failed with it, and that is all that is said of it.
    """

    name: str

    @property
    def ready(self) -> bool:
        """Whether writes can be submitted."""

    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """Submit; one of the two reports follows, from ``serve``.

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
        """Drop the connection without ceremony."""


def wait_ready(selector: selectors.BaseSelector, fd: int, events: int, timeout: float) -> int:
    """Wait for ``events`` of ``fd``; returns those that came.

    Whatever else is registered there has its key's ``data`` called when it is ready.
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
    """The error that says that a connection is over."""
    return CrunchbedError(f"{name} connection lost{f': {reason}' if reason else ''}")
