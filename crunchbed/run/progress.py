"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from crunchbed.run.world import Node
from reserve_agent.errors import CrunchbedError


class NodeReading(NamedTuple):
    """A node at a moment; pages of 4 KiB, counts since the run began."""

    up: bool
    pressure: bool
    free_pages: int
    reserve_pages: int
    misses: int
    written_pages: int
    view: int
    serving: bool


ReadNodes = Callable[[], Mapping[str, NodeReading | None]]
"""Asks every node; None for a node whose agent does not answer."""

NodeLook = NodeReading
Look = ReadNodes


def read_nodes(nodes: Mapping[str, Node]) -> dict[str, NodeReading | None]:
    """Ask every node how it is; None for a node that cannot be asked."""
    return {name: _read(node) for name, node in nodes.items()}


def _read(node: Node) -> NodeReading | None:
    try:
        status = node.status()
    except CrunchbedError:  # code that needs the answer asks too, and raises
        return None
    return NodeReading(
        up=node.up,
        pressure=status.pressure,
        free_pages=status.free_pages,
        reserve_pages=status.reserve_pages,
        misses=status.misses,
        written_pages=status.written_pages,
        view=len(status.view),
        serving=status.serving,
    )


class Progress(Protocol):
    """Called from the run's main loop; must return quickly."""

    def watch(self, read: ReadNodes) -> None:
        """The cluster is there; from now on ``tick`` may call ``read``."""

    def phase(self, name: str, seconds: float | None) -> None:
        """A phase begins that lasts ``seconds`` at most, where that is known."""

    def note(self, text: str) -> None:
        """Something worth a line has happened."""

    def tick(self) -> None:
        """Time passes; called a few times a second."""


class NoProgress:
    """Nobody watches."""

    def watch(self, read: ReadNodes) -> None:
        """Do nothing."""

    def phase(self, name: str, seconds: float | None) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def tick(self) -> None:
        """Do nothing."""
