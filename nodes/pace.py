"""When the packets of a sender are due. Pure."""

from __future__ import annotations

from typing import Final

_CATCH_UP_SHARE: Final = 10  # of a second


class Pace:
    """Packets that are due, ``rate`` a second from ``start_ns`` to ``end_ns`` (None: for ever)."""

    def __init__(self, rate: int, start_ns: int, end_ns: int | None) -> None:
        self._rate = rate
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._sent = 0

    def due(self, now_ns: int) -> int:
        """Return how many packets are due since the last call; they count as sent."""
        until_ns = now_ns if self._end_ns is None else min(now_ns, self._end_ns)
        due = (until_ns - self._start_ns) * self._rate // 1_000_000_000
        if self._end_ns is None:
            # Packets that a pause has held back are not all made up for: that would be a flood.
            self._sent = max(self._sent, due - self._rate // _CATCH_UP_SHARE)
        count = max(0, due - self._sent)
        self._sent += count
        return count
