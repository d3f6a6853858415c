"""The common part of the transports: a connection that is made, used and lost without blocking."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.socket_options import SO_SNDBUFFORCE

TARGET_NAME: Final = "iqn.2026-11.invalid.crunchbed:disk"
SUBSYSTEM: Final = "nqn.2026-11.invalid.crunchbed:disk"
"""Qualified name of the disk's NVMe subsystem."""
LUN: Final = 1
"""Logical unit of the disk on an iSCSI target; tgt keeps 0 for a controller of its own."""


class LoginRefused(BadInput):
    """The target does not accept the initiator's name or secret."""


@dataclass(frozen=True)
class Endpoint:
    """Where a target is: IPv4 address and TCP port.

    Attributes:
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
    """Functions that are given the sequence number of each write, and why it failed.

    Only ``Transport.serve`` calls them.
    """

    acknowledged: Callable[[int], None]
    failed: Callable[[int, str], None]


class Transport(ABC):
    """One connection by which a node's writes reach its target.

    The constructor begins to connect and does not wait; ``serve`` goes on with that until
    ``ready``. A connection that is lost stays lost: its owner makes another transport. Writes that
    were in flight are lost with it, and are not reported.

    Args:
        endpoint: Where the target is.
        selector: Waits for the connection and for whatever else its owner registered there; the
            ``data`` of other keys is called when they are ready.
        reports: Is told of writes.
    """

    name: ClassVar[str]

    def __init__(
        self, endpoint: Endpoint, selector: selectors.BaseSelector, reports: Reports
    ) -> None:
        self.ready = False
        """Whether writes can be submitted."""
        self._endpoint = endpoint
        self._selector = selector
        self._reports = reports
        self._completed: list[tuple[int, int]] = []  # sequence numbers and their results
        self._started_ns = time.monotonic_ns()

    @abstractmethod
    def write(self, sequence: int, data: bytearray, offset: int) -> None:
        """Submit a write; ``serve`` reports it as acknowledged or failed.

        Raises:
            CrunchbedError: The connection is lost.
        """

    @abstractmethod
    def serve(self, timeout: float) -> None:
        """Move the connection along for at most ``timeout`` seconds.

        Raises:
            LoginRefused: The target does not want this initiator.
            CrunchbedError: The connection is lost, or could not be made.
        """

    def close(self) -> None:
        """Drop the connection without a word to the target."""
        self._selector.unregister(self._watched)
        self._watched.close()

    def _watch(self, fd: int) -> None:
        """Wait for the connection by a descriptor of its own: the library may close ``fd``."""
        self._watched = socket.socket(fileno=os.dup(fd))
        if self._endpoint.send_buffer is not None:
            with contextlib.suppress(PermissionError):
                size = self._endpoint.send_buffer
                self._watched.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, size)
        self._selector.register(self._watched, selectors.EVENT_READ)

    def _wait(self, events: int, timeout: float) -> int:
        """Wait for ``events`` of the connection; return those that came."""
        fd, came = self._watched.fileno(), 0
        self._selector.modify(fd, events)
        for key, ready in self._selector.select(timeout):
            if key.fd == fd:
                came = ready
            else:
                key.data()
        return came

    def _age_ns(self) -> int:
        return time.monotonic_ns() - self._started_ns

    def _lost(self, reason: str | None) -> CrunchbedError:
        return CrunchbedError(f"{self.name} connection lost{f': {reason}' if reason else ''}")

    def _not_connected(self, reason: str) -> CrunchbedError:
        return CrunchbedError(f"{self.name} target {self._endpoint}: {reason}")
