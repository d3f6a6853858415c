"""An answer that another thread brings."""

from __future__ import annotations

from typing import Any

from reserve_agent.controller.requests import What


class Answer:
    """What a switch says to one question; ``content`` counts once it is ``there``."""

    def __init__(self, what: What) -> None:
        self.what = what
        self.content: Any = None
        self.there = False

    def arrive(self, content: Any) -> None:
        """It is there."""
        self.content = content
        self.there = True
