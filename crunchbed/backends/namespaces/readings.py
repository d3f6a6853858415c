"""What the nodes of a running cluster are like, for whoever watches the run."""

from __future__ import annotations

from collections.abc import Mapping

from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.run.progress import NodeLook
from reserve_agent.errors import CrunchbedError


def look(nodes: Mapping[str, LiveNode]) -> dict[str, NodeLook | None]:
    """Ask every node's agent, which takes about a millisecond for each."""
    return {name: _look(node) for name, node in nodes.items()}


def _look(node: LiveNode) -> NodeLook | None:
    try:
        status = node.ask("status")
    except CrunchbedError:  # who has to act on that finds it out without being watched
        return None
    pool = status["pool"]
    return NodeLook(
        up=node.up,
        pressure=bool(pool["pressure"]),
        free_pages=pool["free"],
        reserve_pages=pool["reserve"],
        misses=status["misses"],
        written_pages=status["written"],
        view=len(status["view"]),
        serving=status["serving"],
    )
