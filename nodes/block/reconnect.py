"""A node's connection to its disk: made, lost and made again, and how long I/O waits meanwhile."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from nodes.block.timeouts import Outage
from nodes.block.transport import LoginRefused
from reserve_agent.errors import CrunchbedError

RETRY_NS = 200_000_000

Data = TypeVar("Data")
_Data = TypeVar("_Data", contravariant=True)


class Carrier(Protocol[_Data]):
    """A connection that is being made, or is there; see ``transport.Transport``."""

    ready: bool

    def write(self, sequence: int, data: _Data, offset: int, /) -> None:
        """Submit a write."""

    def serve(self, timeout: float, /) -> None:
        """Move the connection along."""

    def close(self) -> None:
        """Hang up."""


class Waits(Protocol):
    """Serves others while there is no connection; a selector does."""

    def select(self, timeout: float, /) -> Sequence[tuple[selectors.SelectorKey, int]]:
        """Wait for them at most so many seconds."""


class ConnectionListener(Protocol):
    """Is told how the connection does."""

    def connected(self, *, first: bool) -> None:
        """There is a connection: what was in flight on an earlier one has to be written again."""

    def disconnected(self, reason: str) -> None:
        """The connection is lost."""

    def given_up(self) -> None:
        """No new connection came in time: what is in flight fails. Attempts go on."""


class Reconnecting(Generic[Data]):
    """Connects, and connects again whenever the connection is lost; ``up`` while there is one.

    Args:
        connect: Makes a transport, which begins to connect.
        limit_ns: How long I/O waits for a new connection; None for ever.
        selector: Served while there is no connection.
        listener: Is told of every change.
        clock: Nanoseconds.
    """

    def __init__(
        self,
        connect: Callable[[], Carrier[Data]],
        limit_ns: int | None,
        selector: Waits,
        listener: ConnectionListener,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._connect = connect
        self._outage = Outage(limit_ns)
        self._selector = selector
        self._listener = listener
        self._clock = clock
        self._transport: Carrier[Data] | None = None
        self._next_ns = clock()
        self._was_up = False
        self.up = False

    def write(self, sequence: int, data: Data, offset: int) -> bool:
        """Submit one write; return False where there is no connection, or no longer."""
        if self._transport is None or not self.up:
            return False
        try:
            self._transport.write(sequence, data, offset)
        except CrunchbedError as error:
            self._drop(error)
        return self.up

    def serve(self, timeout: float) -> None:
        """Move the connection along for at most ``timeout`` seconds.

        Raises:
            LoginRefused: The target refuses the first login: no later one would succeed.
        """
        if self._outage.expired(self._clock()):
            self._listener.given_up()
        if self._transport is None:
            self._attempt(timeout)
            return
        try:
            self._transport.serve(timeout)
        except LoginRefused as error:
            self._drop(error)
            if not self._was_up:
                raise
        except CrunchbedError as error:
            self._drop(error)
        else:
            if self._transport is not None and self._transport.ready and not self.up:
                self._come_up()

    def _attempt(self, timeout: float) -> None:
        wait_ns = self._next_ns - self._clock()
        if wait_ns > 0:
            for key, _ in self._selector.select(min(timeout, wait_ns / 1e9)):
                key.data()
            return
        self._next_ns = self._clock() + RETRY_NS
        with suppress(CrunchbedError):
            self._transport = self._connect()

    def _come_up(self) -> None:
        first, self.up, self._was_up = not self._was_up, True, True
        self._outage.end()
        self._listener.connected(first=first)

    def _drop(self, error: CrunchbedError) -> None:
        was_up = self.up
        self.close()
        now = self._clock()
        self._next_ns = now + RETRY_NS
        if was_up:
            self._outage.begin(now)
            self._listener.disconnected(str(error))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self.up = False
