"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol


class NodeLook(NamedTuple):
    """A node at a moment; pages of 4 KiB, counts since the run began."""

    up: bool
    pressure: bool
    free_pages: int
    reserve_pages: int
    misses: int
    written_pages: int
    view: int
    serving: bool


Look = Callable[[], Mapping[str, NodeLook | None]]
"""Asks every node; None where its agent does not answer."""


class Progress(Protocol):
    """Called from the run's main loop; must return quickly."""

    def watch(self, look: Look) -> None:
        """The cluster is there, and may be looked at from ``tick`` from now on."""

    def phase(self, name: str, seconds: float | None) -> None:
        """A phase begins that lasts ``seconds`` at most, where that is known."""

    def note(self, text: str) -> None:
        """Something worth a line has happened."""

    def tick(self) -> None:
        """Time passes; called a few times a second."""


class NoProgress:
    """Nobody watches."""

    def watch(self, look: Look) -> None:
        """Ignore it."""

    def phase(self, name: str, seconds: float | None) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def tick(self) -> None:
        """Ignore it."""
