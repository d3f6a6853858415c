"""How a node's daemons tell their agent what happened: JSON lines over a Unix stream socket."""

from __future__ import annotations

import atexit
import select
import time
from pathlib import Path
from typing import Protocol

import orjson

from reserve_agent.contract.events.base import Event, made_id
from reserve_agent.contract.events.run import EventsLost
from reserve_agent.lines.client import LineSender

WAITING_BYTES = 4 << 20
"""What a daemon keeps for an agent that does not read, or is away: some 20,000 events."""
FLUSH_SECONDS = 1.0
_SEND_BUFFER = 1 << 20
_LISTEN_NS = 50_000_000
_RETRY_NS = 20_000_000


class Events(Protocol):
    """Where a daemon reports its events; tests pass one that keeps them in a list."""

    def emit(self, event: Event) -> None:
        """Report one event, with the time now where it has none."""


class NoEvents:
    """For a daemon on a host without an agent."""

    def emit(self, event: Event) -> None:
        """Drop the event."""


class EventSink:
    """Sends events to the agent, one JSON line each, as they happen.

    A daemon must neither fail nor wait because its agent does. Events that the agent is slow to
    read wait here, and so do events from while the agent is away: the sink connects anew by itself,
    and sends again what the agent has not acknowledged as written to its file. Beyond ``limit``
    bytes events are dropped and counted in ``lost``; they get no number. Once half of the room is
    free again, an event ``events.lost`` with their ``count`` says so in the history. Events that
    still wait when the process ends are sent then. ``writer`` stands for the daemon in their ids.

    Raises:
        OSError: No agent listens there at first.
    """

    def __init__(self, path: Path, writer: str, limit: int = WAITING_BYTES) -> None:
        self._writer = writer
        self._limit = limit
        self._number = 0
        self._kept = bytearray()  # whole lines that are not known to be on file
        self._sent = 0  # bytes of ``_kept`` that this connection has taken
        self._heard = 0  # bytes that this connection's agent has on file
        self._listen_at = 0
        self._reported = 0
        self._closed = False
        self.lost = 0
        self._sender = LineSender(path, retry_ns=_RETRY_NS, send_buffer=_SEND_BUFFER)
        self._sender.open()
        atexit.register(self.close)

    def emit(self, event: Event) -> None:
        """Send one event at once, or as soon as the agent reads; see ``Events.emit``."""
        now = time.monotonic_ns()
        line = self._line(event, now)
        if len(self._kept) + len(line) > self._limit:
            self._listen()  # there may be room by now
        if self._closed or len(self._kept) + len(line) > self._limit:
            self.lost += 1
        else:
            self._keep(line)
        self._push(now)

    def _line(self, event: Event, now: int) -> bytes:
        id_ = made_id(self._writer, 0, self._number)
        return orjson.dumps({"t": now, **event.record(), "id": id_}) + b"\n"

    def _keep(self, line: bytes) -> None:
        self._kept += line
        self._number += 1

    def _push(self, now: int) -> None:
        """Send what the socket takes now."""
        if not self._sender.connected and not self._reconnect(now):
            return
        if now >= self._listen_at:
            self._listen_at = now + _LISTEN_NS
            self._listen()
        while self._sender.connected:
            if self._sent == len(self._kept):
                if self.lost == self._reported or len(self._kept) > self._limit // 2:
                    return
                count, self._reported = self.lost - self._reported, self.lost
                self._keep(self._line(EventsLost(count=count), time.monotonic_ns()))
            with memoryview(self._kept) as kept, kept[self._sent :] as unsent:
                taken = self._sender.send(unsent)
            if taken is None:
                self._hang_up()
            elif taken:
                self._sent += taken
            else:
                return

    def _reconnect(self, now: int) -> bool:
        if self._closed or not self._sender.connect(now):
            return False
        self._sent = self._heard = 0
        return True

    def _listen(self) -> None:
        """Forget what the agent has on file by now."""
        if lines := self._sender.receive():
            heard = int(orjson.loads(lines[-1])["heard"])
            del self._kept[: heard - self._heard]
            self._sent -= heard - self._heard
            self._heard = heard

    def _hang_up(self) -> None:
        """The agent is gone; its last acknowledgements are in the socket and still count."""
        while self._sender.connected:
            before = self._heard
            self._listen()
            if self._heard == before:
                self._sender.close()

    def close(self) -> None:
        """Send what waits, for ``FLUSH_SECONDS`` at most, and stop reporting."""
        atexit.unregister(self.close)
        until = time.monotonic() + FLUSH_SECONDS
        self._push(time.monotonic_ns())
        while self._unsent() and (left := until - time.monotonic()) > 0:
            if self._sender.connected:
                select.select([], [self._sender], [], left)
            else:
                time.sleep(min(left, _RETRY_NS / 1e9))
            self._push(time.monotonic_ns())
        self.lost += self._unsent().count(b"\n")
        self._closed = True
        self._kept.clear()
        self._sent = 0
        self._sender.close()

    def _unsent(self) -> bytearray:
        return self._kept[self._sent :] if self._sender.connected else self._kept
