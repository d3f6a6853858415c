"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crunchbed.run.world import Node, NodeStatus
from reserve_agent.errors import CrunchbedError

ReadNodes = Callable[[], Mapping[str, NodeStatus | None]]
"""Asks every node; None for a node whose agent does not answer."""


def read_nodes(nodes: Mapping[str, Node]) -> dict[str, NodeStatus | None]:
    """Ask every node how it is; None for a node that cannot be asked."""
    return {name: _read(node) for name, node in nodes.items()}


def _read(node: Node) -> NodeStatus | None:
    try:
        return node.status()
    except CrunchbedError:  # code that needs the answer asks too, and raises
        return None


class Progress:
    """Called from the run's main loop; must return quickly. This one shows nothing."""

    def watch(self, read: ReadNodes) -> None:
        """The cluster is there; from now on ``tick`` may call ``read``."""

    def phase(self, name: str, seconds: float | None) -> None:
        """A phase begins that lasts ``seconds`` at most, where that is known."""

    def note(self, text: str) -> None:
        """Something worth a line has happened."""

    def tick(self) -> None:
        """Time passes; called a few times a second."""
