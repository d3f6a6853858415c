"""How an agent tells the controller that its node comes under memory pressure, and out of it.

The message is a JSON line on the controller's Unix socket. ``at`` is when the pressure began, or
was seen to be over, in nanoseconds of CLOCK_MONOTONIC::

    {"op": "pressure", "node": "n1", "on": true, "at": 123}

No answer comes. Instead the agent repeats the message: every ``REPEAT_NS`` while there is pressure,
for a controller that was away at the beginning, and ``_FAREWELLS`` times in all at the end.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from reserve_agent.lines.client import LineSender
from reserve_agent.lines.framing import Message

REPEAT_NS = 100_000_000
_FAREWELLS = 3


class PressureReport:
    """Decides when which message about the node called ``node`` is due. Pure."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._since: int | None = None
        self._at = self._said_at = 0
        self._farewells = 0

    def due(self, since: int | None, now: int) -> Message | None:
        """Return the message to send now; None for none.

        Times are nanoseconds of CLOCK_MONOTONIC; ``since`` is when the pressure that goes on
        began, None where there is none.
        """
        if since != self._since:
            self._since = since
            self._at = now if since is None else since
            self._farewells = _FAREWELLS
        elif now - self._said_at < REPEAT_NS or (since is None and not self._farewells):
            return None
        if since is None:
            self._farewells -= 1
        self._said_at = now
        return {"op": "pressure", "node": self._node, "on": since is not None, "at": self._at}


class PressureSender:
    """Sends to the socket ``controller`` what ``PressureReport`` says to be due; never waits."""

    def __init__(self, node: str, controller: Path) -> None:
        self._report = PressureReport(node)
        self._sender = LineSender(controller)

    def tell(self, since: int | None, now: int) -> None:
        """Send the message that is due; a controller that is away hears the next one."""
        if (message := self._report.due(since, now)) is not None:
            line = orjson.dumps(message) + b"\n"
            if not self._send(line, now):
                self._send(line, now)  # over a new connection: the last one may have been stale

    def _send(self, line: bytes, now: int) -> bool:
        """Send a whole line, or nothing to a controller that is busy; False: no connection."""
        if self._sender.connect(now) and self._sender.send(line) in (0, len(line)):
            return True
        self._sender.close()
        return False

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._sender.close()
