"""Lines in a stream, and what a line holds."""

from __future__ import annotations

from typing import Any, Final

from reserve_agent.errors import CrunchbedError

Message = dict[str, Any]
MAX_LINE: Final = 1 << 20
"""Bytes of the longest line that a server reads."""
READ_BYTES: Final = 1 << 16
"""Bytes that one read takes at most."""


class MalformedMessage(CrunchbedError):
    """A handler cannot read a message: it counts as a line that is no JSON object."""


class LineBuffer:
    """Puts lines together from the pieces in which a stream brings them."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""

    @property
    def too_long(self) -> bool:
        """Whether the line that is not complete yet is longer than a line may be."""
        return len(self._rest) > self._limit

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes, without their newlines."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines
