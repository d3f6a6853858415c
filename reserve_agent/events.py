"""How a node's daemons tell their agent what happened: JSON lines over a Unix stream socket."""

from __future__ import annotations

import atexit
import select
import socket
import time
from pathlib import Path
from typing import Any, Protocol

import orjson

WAITING_BYTES = 4 << 20
"""What a daemon keeps for an agent that does not read: some 20,000 events."""
FLUSH_SECONDS = 1.0


class Events(Protocol):
    """What a daemon needs of a sink; tests pass a list-backed one."""

    def emit(self, kind: str, *, t: int | None = None, **fields: Any) -> None:
        """Report one event; ``t`` is CLOCK_MONOTONIC in nanoseconds, now when left out."""


class EventSink:
    """Sends events to the agent, one JSON line each, as they happen.

    A daemon must neither fail nor wait because its observer does: what the agent is slow to
    read waits here, up to a bound, and beyond it events are dropped and counted in ``lost``.
    As soon as there is room again, an event ``events.lost`` with their ``count`` says so in the
    history. What waits when the process ends is sent then.

    Args:
        path: The agent's socket.
        limit: Bytes that may wait.
    """

    def __init__(self, path: Path, limit: int = WAITING_BYTES) -> None:
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._limit = limit
        self._waiting = bytearray()
        self._reported = 0
        self.lost = 0
        atexit.register(self.close)

    def emit(self, kind: str, *, t: int | None = None, **fields: Any) -> None:
        """Send one event at once, or as soon as the agent reads; see ``Events.emit``."""
        line = _line(time.monotonic_ns() if t is None else t, kind, fields)
        if self._socket is None or len(self._waiting) + len(line) > self._limit:
            self.lost += 1
        else:
            self._waiting += line
        self._push()

    def _push(self) -> None:
        """Send what the socket takes now."""
        while self._socket is not None:
            if not self._waiting:
                if self.lost == self._reported:
                    return
                count, self._reported = self.lost - self._reported, self.lost
                self._waiting += _line(time.monotonic_ns(), "events.lost", {"count": count})
            try:
                sent = self._socket.send(self._waiting)
            except BlockingIOError:
                return
            except OSError:
                self._hang_up()
                return
            del self._waiting[:sent]

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.lost += self._waiting.count(b"\n")
        self._waiting.clear()

    def close(self) -> None:
        """Send what waits, for ``FLUSH_SECONDS`` at most, and stop reporting."""
        atexit.unregister(self.close)
        until = time.monotonic() + FLUSH_SECONDS
        self._push()
        while self._socket is not None and self._waiting:
            left = until - time.monotonic()
            if left <= 0 or not select.select([], [self._socket], [], left)[1]:
                break
            self._push()
        self._hang_up()


def _line(t: int, kind: str, fields: dict[str, Any]) -> bytes:
    return orjson.dumps({"t": t, "kind": kind, **fields}) + b"\n"
