"""A node's agent is killed: the node is to take no notice of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import NotPossible, World
from crunchbed.scenario.faults import AgentCrash


class AgentCrashFault:
    """See the module."""

    def __init__(self, fault: AgentCrash, world: World) -> None:
        self._node = world.nodes[fault.target]

    def begin(self) -> Mapping[str, Any]:
        """SIGKILL."""
        if not self._node.kill_agent():
            raise NotPossible(f"the agent of {self._node.name} was down")
        return {}

    def undo(self) -> None:
        """Start the next one, unless something has needed it before."""
        self._node.restart_agent()
