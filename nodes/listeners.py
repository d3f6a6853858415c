"""How a membership daemon tells other daemons of its node every view that it tells its agent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import orjson

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.events import Events
from reserve_agent.lines.client import LineSender

_RETRY_NS = 20_000_000
_MOST_WAITING = 1000


class _Listener(LineSender):
    """A socket that may appear later than its first line; lines wait for it, the last 1000."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, retry_ns=_RETRY_NS)
        self.waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)

    def push(self, now_ns: int) -> None:
        """Send what the listener takes now; never wait."""
        if not self.waiting or not self.connect(now_ns):
            return
        # A line is far smaller than the buffer, so it is sent whole or not at all.
        while self.waiting and (taken := self.send(self.waiting[0])) != 0:
            if taken is None:
                self.close()
                return
            self.waiting.popleft()


class ViewForwarder:
    """A sink of events that passes every view on to listeners, Unix sockets of the same node.

    A listener that is not there yet gets its views as soon as it is there and another event, such
    as a heartbeat that was sent, gives the occasion.
    """

    def __init__(self, events: Events, listeners: Iterable[Path]) -> None:
        self._events = events
        self._listeners = [_Listener(path) for path in listeners]

    def emit(self, event: Event) -> None:
        """See ``Events.emit``."""
        now_ns = time.monotonic_ns()
        if isinstance(event, ViewInstalled):
            event = event.stamped(now_ns, event.node)  # the same time for all who are told
            line = orjson.dumps(event.record()) + b"\n"
            for listener in self._listeners:
                listener.waiting.append(line)
        self._events.emit(event)
        self.push(now_ns)

    def push(self, now_ns: int) -> None:
        """Send what waits; for a daemon that may have no event to tell for long."""
        for listener in self._listeners:
            listener.push(now_ns)

    def close(self) -> None:
        """Hang up on every listener."""
        for listener in self._listeners:
            listener.close()
