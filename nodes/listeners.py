"""Views for others on the node: a membership daemon tells them what it tells its agent."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from reserve_agent.contract.events import Event
from reserve_agent.events import Events

FORWARDED: Final = "membership.view"
_RETRY_NS = 20_000_000
_MOST_WAITING = 1000


class _Listener:
    """One socket, which may come later than its first line; lines wait for it in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._retry_ns = 0

    def tell(self, line: bytes) -> None:
        """Add a line to what is to be sent."""
        self._waiting.append(line)

    def push(self, now_ns: int) -> None:
        """Send what the listener takes now; never waits."""
        if not self._waiting or now_ns < self._retry_ns:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.setblocking(False)
                self._socket.connect(str(self._path))
            while self._waiting:
                # A line is far smaller than the buffer, so it is sent whole or not at all.
                self._socket.send(self._waiting[0])
                self._waiting.popleft()
        except BlockingIOError:
            self._retry_ns = now_ns + _RETRY_NS
        except OSError:
            self.close()
            self._retry_ns = now_ns + _RETRY_NS

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class ViewForwarder:
    """A sink of events that passes every view on to listeners of the same node as well.

    A listener that is not there yet gets the views once it is; the next event of any kind, such
    as a heartbeat that was sent, is the occasion.

    Args:
        events: where every event goes.
        listeners: Unix sockets that take JSON lines.
    """

    def __init__(self, events: Events, listeners: Iterable[Path]) -> None:
        self._events = events
        self._listeners = [_Listener(path) for path in listeners]

    def emit(self, event: Event | str, *, t: int | None = None, **fields: Any) -> None:
        """See ``Events.emit``."""
        now_ns = time.monotonic_ns()
        if isinstance(event, Event):
            fields = {"t": now_ns, **event.record()}
            kind, t = fields.pop("kind"), fields.pop("t")
        else:
            kind = event
        moment = now_ns if t is None else t
        self._events.emit(kind, t=moment, **fields)
        if kind == FORWARDED and self._listeners:
            line = orjson.dumps({"t": moment, "kind": kind, **fields}) + b"\n"
            for listener in self._listeners:
                listener.tell(line)
        self.push(now_ns)

    def push(self, now_ns: int) -> None:
        """Send what waits; for a daemon that may have no event to tell for long."""
        for listener in self._listeners:
            listener.push(now_ns)

    def close(self) -> None:
        """Hang up on every listener."""
        for listener in self._listeners:
            listener.close()
