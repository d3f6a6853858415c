"""The fence service in a loop of its own."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from pathlib import Path

from nodes.fence_service import FenceServer


class PumpedFences(FenceServer):
    """Its requests are carried out at once, unless ``wait_ns`` and ``later`` say otherwise."""

    def __init__(
        self,
        path: Path,
        fence: Callable[[str, str], bool],
        wait_ns: Callable[[str, str], int] = lambda _target, _by: 0,
        later: Callable[[int, Callable[[], None]], None] = lambda _ns, call: call(),
    ) -> None:
        self._selector = selectors.DefaultSelector()
        super().__init__(path, fence, self._selector, wait_ns, later)

    def pump(self, timeout: float) -> None:
        """Serve what is ready, waiting up to ``timeout`` seconds for the first of it."""
        for key, _ in self._selector.select(timeout):
            key.data()
