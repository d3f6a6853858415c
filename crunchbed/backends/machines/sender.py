"""Frames for a guest on its own, no faster than it takes them."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from crunchbed.backends.machines.lone import PORT, LoneGuest

_RATE: Final = 4000
"""Frames a second at most."""
_UNDER_WAY: Final = 32
"""Frames that the reader does not have yet. A kernel below its floors has heads for 64 packets:
with more at once it would drop some for want of a head, whatever is flagged."""
_GONE_TURNS: Final = 40
"""After which a frame is not under way any more."""
_LONGEST_SECONDS: Final = 60.0


class Sender:
    """Sends frames with numbers that count from 0.

    Args:
        guest: Whom they are for.
        frame_bytes: Bytes of a frame.
        port: Of the socket that is read, or of the one that is not.
    """

    def __init__(self, guest: LoneGuest, frame_bytes: int, port: int = PORT) -> None:
        self._guest = guest
        self._bytes = frame_bytes
        self._port = port
        self._next = 0
        self._under_way: deque[tuple[int, int]] = deque()

    def send(self, count: int, patience: float) -> int:
        """Send so many frames; return how many the card took.

        Args:
            count: How many.
            patience: Turns without a slot for a frame after which the others are not sent.
        """
        begun, moved = time.monotonic(), self._guest.turns
        sent = 0

        def over() -> bool:
            nonlocal sent, moved
            most = min(count, int((time.monotonic() - begun) * _RATE) + 1)
            while sent < most and self._has_room():
                if not self._put():
                    break
                sent += 1
            else:
                moved = self._guest.turns
            return sent >= count or self._guest.turns - moved > patience

        self._guest.until(over, _LONGEST_SECONDS + count / _RATE, "frames are sent")
        return sent

    def _put(self) -> bool:
        if not self._guest.send(self._next, self._bytes, self._port):
            return False
        if self._port == PORT:
            self._under_way.append((self._next, self._guest.turns))
        self._next += 1
        return True

    def _has_room(self) -> bool:
        """Frames come in order: with one, those before it have come or are lost."""
        turns, frames = self._guest.turns, self._under_way
        while frames and (frames[0][0] <= self._guest.newest or turns - frames[0][1] > _GONE_TURNS):
            frames.popleft()
        return len(frames) < _UNDER_WAY
