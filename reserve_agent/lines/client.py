"""The two kinds of client: one that asks and waits, and one that sends and never blocks."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.errors import CrunchbedError
from reserve_agent.lines.framing import READ_BYTES, LineBuffer, Message


class LineClient:
    """Asks the ``LineServer`` at ``path`` one question at a time, ``timeout`` seconds for each.

    Raises:
        CrunchbedError: Nobody listens there.
    """

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
        """Send one message and return its reply.

        Raises:
            CrunchbedError: No reply came, or the reply is an error.
        """
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


class LineSender:
    """A connection to a ``LineServer`` that never blocks, and that can be made anew after a loss.

    Args:
        path: The server's socket.
        retry_ns: Least time between two attempts to connect, nanoseconds.
        send_buffer: Bytes of sent lines that the kernel may hold; None: its default.
    """

    def __init__(self, path: Path, *, retry_ns: int = 0, send_buffer: int | None = None) -> None:
        self._path = path
        self._retry_ns = retry_ns
        self._send_buffer = send_buffer
        self._retry_at_ns = 0
        self._buffer = LineBuffer()
        self._socket: socket.socket | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as known."""
        return self._socket is not None

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 without a connection."""
        return -1 if self._socket is None else self._socket.fileno()

    def open(self) -> None:
        """Connect, and wait until the server's queue of connections takes this one.

        Raises:
            OSError: Nobody listens there.
        """
        self._connect(blocking=True)

    def connect(self, now_ns: int) -> bool:
        """Connect if there is no connection and an attempt is due; return ``connected``."""
        if self._socket is None and now_ns >= self._retry_at_ns:
            self._retry_at_ns = now_ns + self._retry_ns
            with contextlib.suppress(OSError):
                self._connect(blocking=False)
        return self.connected

    def _connect(self, *, blocking: bool) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if self._send_buffer is not None:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
            made.setblocking(blocking)
            made.connect(str(self._path))
        except OSError:
            made.close()
            raise
        made.setblocking(False)
        self._socket, self._buffer = made, LineBuffer()

    def send(self, data: bytes | memoryview) -> int | None:
        """Return how many bytes the socket took, 0 where it is full; None where the peer is gone.

        A connection whose peer is gone may still be read: the caller closes it.
        """
        if self._socket is None:
            return None
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return None

    def receive(self) -> list[bytes]:
        """Return the lines that one read completes; at the end of the stream, hang up."""
        if self._socket is None:
            return []
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        lines = self._buffer.feed(data)
        if not data:
            self.close()
        return lines

    def close(self) -> None:
        """Hang up; ``connect`` makes a new connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
