"""Telling the controller when this agent's node comes under memory pressure, and out of it."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from reserve_agent.controller.pressure import Kind, PressureMessage, encode

REPEAT_NS = 100_000_000
"""While there is pressure it is said again, for a controller that was away at its beginning."""
_FAREWELLS = 3
"""How often the end of the pressure is said: a datagram may be lost."""


@dataclass(frozen=True)
class ControllerAddress:
    """Where the controller hears of pressure.

    Attributes:
        address: IPv4 address, the loopback's.
        port: UDP port.
        token: The run's secret, as hexadecimal digits.
    """

    address: str
    port: int
    token: str

    def __repr__(self) -> str:
        """Without the token: this may end up in a log."""
        return f"ControllerAddress({self.address}:{self.port})"


class PressureReport:
    """What is to be said when. Pure.

    Args:
        node: Logical name.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._since: int | None = None
        self._ended_at = 0
        self._farewells = 0
        self._sequence = 0
        self._said_at = 0

    def due(self, since: int | None, now: int) -> PressureMessage | None:
        """The message to send at ``now``; None where there is nothing to say.

        An episode that begins and ends between two calls is not told: it is over.

        Args:
            since: When the pressure began that goes on; None: there is none.
            now: CLOCK_MONOTONIC, nanoseconds.
        """
        if since != self._since:
            if since is None:
                self._farewells, self._ended_at = _FAREWELLS, now
            self._since = since
        elif now - self._said_at < REPEAT_NS:
            return None
        if since is not None:
            return self._say(Kind.ENTER, since, now)
        if self._farewells == 0:
            return None
        self._farewells -= 1
        return self._say(Kind.LEAVE, self._ended_at, now)

    def _say(self, kind: Kind, at: int, now: int) -> PressureMessage:
        # From the clock, so that it grows also from one agent of the node to the next.
        self._sequence = max(self._sequence + 1, now)
        self._said_at = now
        return PressureMessage(kind, self._node, self._sequence, at)


class PressureSender:
    """Sends what ``PressureReport`` says; nobody waits for an answer, and none comes."""

    def __init__(self, node: str, controller: ControllerAddress) -> None:
        self._report = PressureReport(node)
        self._token = bytes.fromhex(controller.token)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.connect((controller.address, controller.port))

    @classmethod
    def to(cls, controller: ControllerAddress | None, node: str) -> PressureSender | None:
        """A sender for this node; None where there is nobody to tell."""
        return None if controller is None else cls(node, controller)

    def tell(self, since: int | None, now: int) -> None:
        """See ``PressureReport.due``; a controller that is away is told again later."""
        message = self._report.due(since, now)
        if message is not None:
            with contextlib.suppress(OSError):
                self._socket.send(encode(message, self._token))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
