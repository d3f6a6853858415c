"""How an agent tells the controller that its node comes under memory pressure, and out of it.

The message is a JSON line on the controller's Unix socket, for example
``{"op":"pressure","node":"n1","on":true,"at":123}``. No answer comes. Instead the agent repeats the
message: every ``REPEAT_NS`` while there is pressure, for a controller that was away at the
beginning, and ``_FAREWELLS`` times in all at the end.
"""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

REPEAT_NS = 100_000_000
_FAREWELLS = 3


@dataclass(frozen=True)
class PressureMessage:
    """One message.

    Attributes:
        node: Logical name, such as ``n1``.
        on: Whether the node is under pressure from now on.
        at: When the pressure began, or was seen to be over; nanoseconds of CLOCK_MONOTONIC.
    """

    node: str
    on: bool
    at: int

    def line(self) -> bytes:
        """The message as the controller reads it, with its newline."""
        return orjson.dumps({"op": "pressure", **asdict(self)}) + b"\n"


class PressureReport:
    """Decides when which message is due. Pure.

    Args:
        node: Logical name.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._since: int | None = None
        self._said_at = 0
        self._ended_at = 0
        self._farewells = 0

    def due(self, since: int | None, now: int) -> PressureMessage | None:
        """The message to send now; None for none.

        Args:
            since: When the pressure that goes on began, nanoseconds; None where there is none.
            now: CLOCK_MONOTONIC, nanoseconds.
        """
        if since != self._since:
            if since is None:
                self._farewells, self._ended_at = _FAREWELLS, now
            self._since = since
        elif now - self._said_at < REPEAT_NS:
            return None
        if since is None:
            if self._farewells == 0:
                return None
            self._farewells -= 1
        self._said_at = now
        at = self._ended_at if since is None else since
        return PressureMessage(self._node, since is not None, at)


class PressureSender:
    """Sends what ``PressureReport`` says to be due, and never waits.

    Args:
        node: Logical name.
        controller: Unix socket of the controller.
    """

    def __init__(self, node: str, controller: Path) -> None:
        self._report = PressureReport(node)
        self._controller = controller
        self._socket: socket.socket | None = None

    def tell(self, since: int | None, now: int) -> None:
        """Send the message that is due, if any; a controller that is away hears the next one.

        Args:
            since: When the pressure that goes on began, nanoseconds; None where there is none.
            now: CLOCK_MONOTONIC, nanoseconds.
        """
        message = self._report.due(since, now)
        if message is not None and not self._send(message.line()):
            self._send(message.line())  # over a new connection: the last one may have been stale

    def _send(self, line: bytes) -> bool:
        """Send a whole line; False where there is no connection, or none any more."""
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.setblocking(False)
                self._socket.connect(str(self._controller))
            if self._socket.send(line) == len(line):
                return True
        except BlockingIOError:
            return True  # the controller is busy: repeating at once would not help
        except OSError:
            pass
        self.close()
        return False

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
