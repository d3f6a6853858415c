"""The server of JSON lines: one handler, many clients, in its owner's loop."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from reserve_agent.lines.framing import MAX_LINE, READ_BYTES, LineBuffer, MalformedMessage, Message

Handler = Callable[[Message], Message | None]
_BACKLOG = 128


@dataclass(slots=True)
class _Client:
    """A client of a server.

    Attributes:
        socket: Its connection.
        buffer: The line that is not complete yet.
        asks: Whether its lines have had replies.
        heard: Bytes of the whole lines that were read.
        told: Bytes that it was told are in safe keeping.
    """

    socket: socket.socket
    buffer: LineBuffer
    asks: bool = False
    heard: int = 0
    told: int = 0


class LineServer:
    """Serves one handler to many clients from the owner's selector loop.

    Its sockets are registered in the selector; the owner calls the ``data`` of each key that is
    ready. ``malformed`` counts lines that are no message. A client whose lines have no replies is
    told by ``acknowledge`` how many of its bytes are in safe keeping.

    Args:
        path: The Unix socket to make; ``close`` removes it.
        selector: The owner's.
        handler: Is given every message, and returns the reply or None.
        limit: Bytes of the longest line; a client that sends a longer one is hung up on.
        strict: Whether a client that sends a malformed line is hung up on as well.
    """

    def __init__(
        self,
        path: Path,
        selector: selectors.BaseSelector,
        handler: Handler,
        *,
        limit: int = MAX_LINE,
        strict: bool = False,
    ) -> None:
        self._path = path
        self._selector = selector
        self._handler = handler
        self._limit = limit
        self._strict = strict
        self._clients: dict[socket.socket, _Client] = {}
        self._asking: socket.socket | None = None
        self.malformed = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def drain(self) -> None:
        """Handle all that has been sent by now; to be called from within the handler.

        Sockets are read in no particular order. So a handler that answers a question about the
        present calls this first, since its client may have learnt of the present elsewhere.
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
        self._clients[client] = _Client(client, LineBuffer(self._limit))
        self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))
        return True

    def _read(self, client: socket.socket) -> bool:
        """Handle the lines of one read; return whether more may be waiting already."""
        state = self._clients.get(client)
        if state is None:
            return False  # dropped since the selector reported it
        try:
            data = client.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        stranger = False
        for line in state.buffer.feed(data):
            if not self._serve(state, line) and self._strict:
                stranger = True
                break
        if stranger or not data or state.buffer.too_long:
            self._drop(client)
        return len(data) == READ_BYTES

    def _serve(self, client: _Client, line: bytes) -> bool:
        """Handle one line; return whether it was a message."""
        client.heard += len(line) + 1
        message = _parsed(line)
        if message is None:
            self.malformed += 1
            return False
        outer, self._asking = self._asking, client.socket
        try:
            reply = self._handler(message)
        except MalformedMessage:
            self.malformed += 1
            return False
        finally:
            self._asking = outer
        if reply is not None:
            _tell(client, reply)
        return True

    def answer_later(self) -> Callable[[Message], None]:
        """Return how to answer the message at hand later; to be called from within the handler."""
        asking = self._asking
        client = None if asking is None else self._clients.get(asking)

        def answer(reply: Message) -> None:
            if client is not None and self._clients.get(client.socket) is client:
                _tell(client, reply)

        return answer

    def acknowledge(self) -> None:
        """Tell every client that only reports how many of its bytes are in safe keeping."""
        for client in self._clients.values():
            asks = client.asks or client.socket is self._asking
            if client.heard > client.told and not asks:
                # A client that does not read now is told the next time; one that is gone, never.
                with contextlib.suppress(OSError):
                    client.socket.send(b'{"heard":%d}\n' % client.heard)
                    client.told = client.heard

    def _drop(self, client: socket.socket) -> None:
        if client not in self._clients:
            return  # it was dropped while one of its lines was handled
        self._selector.unregister(client)
        del self._clients[client]
        client.close()

    def close(self) -> None:
        """Hang up on every client and remove the socket file."""
        for client in list(self._clients):
            self._drop(client)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)


def _tell(client: _Client, reply: Message) -> None:
    client.asks = True
    # The client may have hung up, and a handler that served others meanwhile closed it.
    with contextlib.suppress(OSError):
        client.socket.setblocking(True)
        client.socket.sendall(orjson.dumps(reply) + b"\n")
        client.socket.setblocking(False)


def _parsed(line: bytes) -> Message | None:
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return message if isinstance(message, dict) else None
