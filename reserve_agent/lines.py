"""JSON lines over a Unix stream socket: the one way in which the parts of a run talk."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.errors import CrunchbedError

Message = dict[str, Any]
Handler = Callable[[Message], Message | None]
_MAX_LINE = 1 << 20
_READ_BYTES = 1 << 16


class LineBuffer:
    """Puts lines together from the pieces in which a stream brings them."""

    def __init__(self, limit: int = _MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""

    @property
    def too_long(self) -> bool:
        """Whether what is there of a line is more than a line may have."""
        return len(self._rest) > self._limit

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without their newlines."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


@dataclass(slots=True)
class _Client:
    """One who talks to a server; ``heard`` and ``told`` are bytes of whole lines."""

    socket: socket.socket
    buffer: LineBuffer = field(default_factory=LineBuffer)
    asks: bool = False
    heard: int = 0
    told: int = 0


class LineServer:
    """Serves one handler to many clients from the owner's selector loop.

    Register happens in the constructor; the owner calls the callback that it finds as the
    selector key's ``data``. A line that is not a JSON object is counted in ``malformed``.
    A client whose lines have no replies is told by ``acknowledge`` how far it was heard.
    """

    def __init__(self, path: Path, selector: selectors.BaseSelector, handler: Handler) -> None:
        self._path = path
        self._selector = selector
        self._handler = handler
        self._clients: dict[socket.socket, _Client] = {}
        self._asking: socket.socket | None = None
        self.malformed = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(64)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def drain(self) -> None:
        """Handle all that has been sent by now; to be called from within the handler.

        Sockets are read in no particular order. Who answers a question about the present, to
        somebody who may have learnt of it elsewhere, first hears out all the others.
        """
        while self._accept():
            pass
        for client in list(self._clients):
            if client is not self._asking:
                while self._read(client):
                    pass

    def _accept(self) -> bool:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        client.setblocking(False)
        self._clients[client] = _Client(client)
        self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))
        return True

    def _read(self, client: socket.socket) -> bool:
        """Handle the lines of one read; whether more may be waiting already."""
        state = self._clients.get(client)
        if state is None:
            return False  # hung up since the selector reported it
        try:
            data = client.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        for line in state.buffer.feed(data):
            self._serve(state, line)
        if not data or state.buffer.too_long:
            self._drop(client)
        return len(data) == _READ_BYTES

    def _serve(self, client: _Client, line: bytes) -> None:
        client.heard += len(line) + 1
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self.malformed += 1
            return
        outer, self._asking = self._asking, client.socket
        reply = self._handler(message)
        self._asking = outer
        if reply is not None:
            client.asks = True
            # Who asked may have hung up, and a handler that serves others meanwhile found it out.
            with contextlib.suppress(OSError):
                client.socket.setblocking(True)
                client.socket.sendall(orjson.dumps(reply) + b"\n")
                client.socket.setblocking(False)

    def acknowledge(self) -> None:
        """Tell everybody who reports how many bytes of the connection are in safe keeping."""
        for client in self._clients.values():
            asks = client.asks or client.socket is self._asking
            if client.heard > client.told and not asks:
                # Who does not listen, or is gone, will be told the next time or never.
                with contextlib.suppress(OSError):
                    client.socket.send(b'{"heard":%d}\n' % client.heard)
                    client.told = client.heard

    def _drop(self, client: socket.socket) -> None:
        if client not in self._clients:
            return  # while one of its lines was answered
        self._selector.unregister(client)
        del self._clients[client]
        client.close()

    def close(self) -> None:
        """Hang up on everybody and remove the socket file."""
        for client in list(self._clients):
            self._drop(client)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)


class LineClient:
    """Asks a ``LineServer``; one question at a time."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise CrunchbedError(f"{path}: nobody answers ({error.strerror})") from error
        self._file = self._socket.makefile("rb")

    def ask(self, **message: Any) -> Message:
        """Send one message and wait for its reply; raises CrunchbedError when none comes."""
        try:
            self._socket.sendall(orjson.dumps(message) + b"\n")
            line = self._file.readline()
            reply: Message = orjson.loads(line)
        except (OSError, orjson.JSONDecodeError) as error:
            raise CrunchbedError(f"{self._path}: no answer to {message.get('op')}") from error
        if "error" in reply:
            raise CrunchbedError(f"{self._path.name}: {reply['error']}")
        return reply

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()
