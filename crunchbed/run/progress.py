"""What a run tells whoever watches it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from the run's main loop; must return quickly."""

    def phase(self, name: str, seconds: float | None) -> None:
        """A phase begins that lasts ``seconds`` at most, where that is known."""

    def note(self, text: str) -> None:
        """Something worth a line has happened."""

    def tick(self) -> None:
        """Time passes; called a few times a second."""


class NoProgress:
    """Nobody watches."""

    def phase(self, name: str, seconds: float | None) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def tick(self) -> None:
        """Ignore it."""
