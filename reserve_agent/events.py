"""How a node's daemons tell their agent what happened: JSON lines over a Unix stream socket."""

from __future__ import annotations

import atexit
import select
import socket
import time
from pathlib import Path
from typing import Any, Protocol

import orjson

from reserve_agent.contract.events import Event
from reserve_agent.lines import LineBuffer

WAITING_BYTES = 4 << 20
"""What a daemon keeps for an agent that does not read, or is away: some 20,000 events."""
FLUSH_SECONDS = 1.0
_LISTEN_NS = 50_000_000
_RETRY_NS = 20_000_000


class Events(Protocol):
    """What a daemon needs of a sink; tests pass a list-backed one."""

    def emit(self, event: Event | str, *, t: int | None = None, **fields: Any) -> None:
        """Report one event, with the time now where it has none."""


class EventSink:
    """Sends events to the agent, one JSON line each, as they happen.

    A daemon must neither fail nor wait because its observer does. What the agent is slow to
    read waits here, and so does all that is said while the agent is away: the sink connects
    anew by itself, and sends again what the agent has not said it has on file. Up to a bound;
    beyond it events are dropped and counted in ``lost``. Once half of the room is free again, an
    event ``events.lost`` with their ``count`` says so in the history. What waits when the process
    ends is sent then.

    Args:
        path: The agent's socket.
        limit: Bytes that may wait.

    Raises:
        OSError: nobody answers there at first.
    """

    def __init__(self, path: Path, limit: int = WAITING_BYTES) -> None:
        self._path = path
        self._limit = limit
        self._kept = bytearray()  # whole lines that are not known to be on file
        self._sent = 0  # of these, what this connection has taken
        self._heard = 0  # bytes that this connection's agent has on file
        self._answers = LineBuffer()
        self._listen_at = self._retry_at = 0
        self._reported = 0
        self._closed = False
        self.lost = 0
        self._socket: socket.socket | None = _connected(path)
        atexit.register(self.close)

    def emit(self, event: Event | str, *, t: int | None = None, **fields: Any) -> None:
        """Send one event at once, or as soon as the agent reads; see ``Events.emit``."""
        now = time.monotonic_ns()
        if isinstance(event, Event):
            line = orjson.dumps({"t": now, **event.record()}) + b"\n"
        else:
            line = _line(now if t is None else t, event, fields)
        if len(self._kept) + len(line) > self._limit:
            self._listen()  # there may be room by now
        if self._closed or len(self._kept) + len(line) > self._limit:
            self.lost += 1
        else:
            self._kept += line
        self._push(now)

    def _push(self, now: int) -> None:
        """Send what the socket takes now."""
        if self._socket is None and not self._reconnect(now):
            return
        if now >= self._listen_at:
            self._listen_at = now + _LISTEN_NS
            self._listen()
        while self._socket is not None:
            if self._sent == len(self._kept):
                if self.lost == self._reported or len(self._kept) > self._limit // 2:
                    return
                count, self._reported = self.lost - self._reported, self.lost
                self._kept += _line(time.monotonic_ns(), "events.lost", {"count": count})
            try:
                with memoryview(self._kept) as kept, kept[self._sent :] as unsent:
                    self._sent += self._socket.send(unsent)
            except BlockingIOError:
                return
            except OSError:
                self._hang_up()

    def _reconnect(self, now: int) -> bool:
        if self._closed or now < self._retry_at:
            return False
        self._retry_at = now + _RETRY_NS
        try:
            self._socket = _connected(self._path, blocking=False)
        except OSError:
            return False
        self._sent = self._heard = 0
        self._answers = LineBuffer()
        return True

    def _listen(self) -> None:
        """Forget what the agent has on file by now."""
        if self._socket is None:
            return
        try:
            answer = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            answer = b""
        if lines := self._answers.feed(answer):
            heard = int(orjson.loads(lines[-1])["heard"])
            del self._kept[: heard - self._heard]
            self._sent -= heard - self._heard
            self._heard = heard
        if not answer:
            self._disconnect()

    def _hang_up(self) -> None:
        """The agent is gone; what it had said before is in the socket and still counts."""
        while self._socket is not None:
            before = self._heard
            self._listen()
            if self._heard == before:
                self._disconnect()

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def close(self) -> None:
        """Send what waits, for ``FLUSH_SECONDS`` at most, and stop reporting."""
        atexit.unregister(self.close)
        until = time.monotonic() + FLUSH_SECONDS
        self._push(time.monotonic_ns())
        while self._unsent() and (left := until - time.monotonic()) > 0:
            if self._socket is None:
                time.sleep(min(left, _RETRY_NS / 1e9))
            else:
                select.select([], [self._socket], [], left)
            self._push(time.monotonic_ns())
        self.lost += self._unsent().count(b"\n")
        self._closed = True
        self._kept.clear()
        self._sent = 0
        self._disconnect()

    def _unsent(self) -> bytearray:
        return self._kept[self._sent :] if self._socket is not None else self._kept


def _connected(path: Path, *, blocking: bool = True) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        made.setblocking(blocking)
        made.connect(str(path))
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def _line(t: int, kind: str, fields: dict[str, Any]) -> bytes:
    return orjson.dumps({"t": t, "kind": kind, **fields}) + b"\n"
