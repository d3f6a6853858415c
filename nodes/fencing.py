"""Fencing: how a coordinator has a node cut off, and learns for certain that it is.

One JSON line each way over a Unix stream socket::

    {"fence": target, "by": node, "view": n}  ->  {"fenced": target, "ok": true, "t": ns, "view": n}

``view`` is the number of the view that the target is to leave; the answer repeats it, so that a
late answer is not taken for that to a newer request. Every request is answered exactly once.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import orjson

from reserve_agent.lines import LineBuffer

_LINE_LIMIT = 4096


class FenceAnswer(NamedTuple):
    """The answer to one request; ``t_ns`` is when the target was cut off."""

    target: str
    view: int
    ok: bool
    t_ns: int


class FenceClient:
    """A node's side, which never blocks.

    A request that cannot be delivered is simply not answered: the caller asks again after its own
    timeout, and that connects anew.
    """

    def __init__(self, path: Path, node: str) -> None:
        self._path = path
        self._node = node
        self._socket: socket.socket | None = None
        self._buffer = LineBuffer()

    def fileno(self) -> int:
        """To wait on for answers; -1 while not connected."""
        return -1 if self._socket is None else self._socket.fileno()

    def request(self, target: str, view: int) -> bool:
        """Ask for ``target`` to be fenced; False where the request could not be delivered."""
        line = orjson.dumps({"fence": target, "by": self._node, "view": view}) + b"\n"
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.setblocking(False)
                self._socket.connect(str(self._path))
            delivered = self._socket.send(line) == len(line)
        except OSError:
            delivered = False
        if not delivered:
            self.close()
        return delivered

    def answers(self) -> list[FenceAnswer]:
        """All answers that have arrived since the last call."""
        if self._socket is None:
            return []
        try:
            received = self._socket.recv(65536)
            answers = [_read_answer(line) for line in self._buffer.feed(received)]
        except BlockingIOError:
            return []
        except (OSError, ValueError, KeyError, TypeError):
            self.close()
            return []
        if not received:
            self.close()
        return answers

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer = LineBuffer()


def _read_answer(line: bytes) -> FenceAnswer:
    answer = orjson.loads(line)
    return FenceAnswer(answer["fenced"], answer["view"], answer["ok"] is True, answer["t"])


@dataclass(slots=True)
class _Fenced:
    view: int
    t_ns: int
    down: bool = True


class FenceLedger:
    """Who is cut off, and which requests still mean something.

    A target is cut off once. While it is down the answer is yes at once; so it is, up or down,
    to a request for a view no newer than the one it was fenced in: that means an earlier boot.
    A node that is cut off itself is refused, so two nodes never fence each other.

    Args:
        fence: ``fence(target, by)`` cuts ``target`` off, and returns whether that is certain.
    """

    def __init__(self, fence: Callable[[str, str], bool]) -> None:
        self._fence = fence
        self._fenced: dict[str, _Fenced] = {}

    def ask(self, target: str, by: str, view: int, now_ns: int) -> tuple[bool, int]:
        """Whether ``target`` is cut off from view number ``view``, and since when."""
        asker = self._fenced.get(by)
        known = self._fenced.get(target)
        if asker is not None and (asker.down or view <= asker.view):
            return False, now_ns
        if known is None or (not known.down and view > known.view):
            if not self._fence(target, by):
                return False, now_ns
            known = self._fenced[target] = _Fenced(view, now_ns)
        return True, known.t_ns

    def released(self, target: str) -> None:
        """``target`` is up again: a request for a newer view cuts it off anew."""
        if target in self._fenced:
            self._fenced[target].down = False


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    buffer: LineBuffer = field(default_factory=partial(LineBuffer, _LINE_LIMIT))


class FenceServer:
    """The fence service, run by whoever can cut nodes off.

    Each of its sockets is registered in ``selector`` for reading, with a callable as ``data``: a
    caller with a loop of its own passes its selector and calls ``key.data()`` for whatever is
    ready; one without calls ``pump``.

    Args:
        path: the Unix socket to make; ``close`` removes it.
        fence: see ``FenceLedger``; it is called from within ``pump`` or ``key.data()``.
        selector: the caller's, or None for one of its own.
    """

    def __init__(
        self,
        path: Path,
        fence: Callable[[str, str], bool],
        selector: selectors.BaseSelector | None = None,
    ) -> None:
        self._path = path
        self._ledger = FenceLedger(fence)
        self._selector = selector or selectors.DefaultSelector()
        self._connections: dict[int, _Connection] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(str(path))
        self._listener.listen(128)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def pump(self, timeout: float) -> None:
        """Serve what is ready, waiting up to ``timeout`` seconds for the first of it."""
        own = {self._listener.fileno(), *self._connections}
        for key, _ in self._selector.select(timeout):
            if key.fd in own:
                key.data()

    def released(self, target: str) -> None:
        """See ``FenceLedger.released``: call it when a fenced node boots again."""
        self._ledger.released(target)

    def close(self) -> None:
        """Close every connection and remove the socket."""
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            accepted, _ = self._listener.accept()
            accepted.setblocking(False)
            connection = self._connections[accepted.fileno()] = _Connection(accepted)
            serve = partial(self._serve, connection)
            self._selector.register(accepted, selectors.EVENT_READ, serve)

    def _serve(self, connection: _Connection) -> None:
        try:
            received = connection.socket.recv(65536)
            requests = [_read_request(line) for line in connection.buffer.feed(received)]
        except BlockingIOError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            self._drop(connection)  # gone, or not a client of this protocol
            return
        for target, by, view in requests:
            answer = self._answer(target, by, view)
            with contextlib.suppress(OSError):  # a client that went away is dropped when read
                connection.socket.sendall(answer)
        if not received or connection.buffer.too_long:
            self._drop(connection)

    def _answer(self, target: str, by: str, view: int) -> bytes:
        ok, t_ns = self._ledger.ask(target, by, view, time.monotonic_ns())
        return orjson.dumps({"fenced": target, "ok": ok, "t": t_ns, "view": view}) + b"\n"

    def _drop(self, connection: _Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        self._selector.unregister(connection.socket)
        connection.socket.close()


def _read_request(line: bytes) -> tuple[str, str, int]:
    request = orjson.loads(line)
    target, by, view = request["fence"], request["by"], request["view"]
    if not (isinstance(target, str) and isinstance(by, str) and type(view) is int):
        raise TypeError(f"not a fence request: {line!r}")
    return target, by, view
