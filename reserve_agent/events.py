"""How a node's daemons tell their agent what happened: JSON lines over a Unix stream socket."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path
from typing import Any, Protocol

import orjson


class Events(Protocol):
    """What a daemon needs of a sink; tests pass a list-backed one."""

    def emit(self, kind: str, *, t: int | None = None, **fields: Any) -> None:
        """Report one event; ``t`` is CLOCK_MONOTONIC in nanoseconds, now when left out."""


class EventSink:
    """Sends events to the agent, one JSON line each, as they happen.

    A daemon must never fail because its observer did: once the agent is gone, events are
    counted in ``lost`` and dropped.
    """

    def __init__(self, path: Path) -> None:
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._socket.connect(str(path))
        self.lost = 0

    def emit(self, kind: str, *, t: int | None = None, **fields: Any) -> None:
        """Send one event at once; see ``Events.emit``."""
        if self._socket is None:
            self.lost += 1
            return
        record = {"t": time.monotonic_ns() if t is None else t, "kind": kind, **fields}
        try:
            self._socket.sendall(orjson.dumps(record) + b"\n")
        except OSError:
            self.lost += 1
            self.close()

    def close(self) -> None:
        """Stop reporting."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
