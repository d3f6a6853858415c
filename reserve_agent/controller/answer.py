"""An answer that another thread brings."""

from __future__ import annotations

import threading
from typing import Any

from reserve_agent.controller.requests import What


class Answer:
    """What a switch says to one question, once it has."""

    def __init__(self, what: What) -> None:
        self.what = what
        self.content: Any = None
        self._event = threading.Event()

    def arrive(self, content: Any) -> None:
        """It is there."""
        self.content = content
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Whether it came in time."""
        return self._event.wait(max(0.0, seconds))
