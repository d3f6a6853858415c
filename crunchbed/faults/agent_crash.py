"""``agent-crash``: a node's agent is killed; the node is to go on as if nothing had happened."""

from __future__ import annotations

from typing import Literal

from crunchbed.faults.base import FaultContext, Lasting, NotPossible
from crunchbed.run.world import KillsAgent
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan


class AgentCrash(Lasting):
    """After ``for`` another agent goes on where the killed one was."""

    kind: Literal["agent-crash"]
    target: Target = "n1"

    def action(self, context: FaultContext) -> AgentCrashAction:
        """Return the fault, ready to begin."""
        return AgentCrashAction(self, context)


class AgentCrashAction:
    """Kills a node's agent."""

    def __init__(self, fault: AgentCrash, context: FaultContext) -> None:
        self._node = context.world.nodes[fault.target]
        self._down = context.holds.down

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Kill the agent."""
        agent = ("agent", self._node.name)
        killed = isinstance(self._node, KillsAgent) and self._node.kill_agent()
        if not killed:
            raise NotPossible(f"the agent of {self._node.name} was down")
        self._down.hold(self, {agent: True})
        return event

    def undo(self) -> None:
        """Start another agent, unless something has needed and started one already."""
        self._down.release(self)
