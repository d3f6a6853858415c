"""A loop for tests that waits for nothing: its clock jumps to whatever is due next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class HeapLoop:
    """Implements ``crunchbed.run.world.Loop``."""

    def __init__(self) -> None:
        self._now = 1_000_000_000
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now_ns(self) -> int:
        return self._now

    def at(self, ns: int, call: Callable[[], None]) -> None:
        heapq.heappush(self._due, (ns, next(self._numbers), call))

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        until = self._now + seconds * 1e9
        while not condition():
            if not self._due or self._due[0][0] > until:
                self._now = max(self._now, round(until))
                return False
            due, _, call = heapq.heappop(self._due)
            self._now = max(self._now, due)
            call()
        return True
