"""``agent-crash``: a node's agent is killed; the node is to go on as if nothing had happened."""

from __future__ import annotations

from typing import Literal

from crunchbed.faults.action import FaultAction, NotPossible
from crunchbed.faults.base import Lasting
from crunchbed.run.world import KillsAgent
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan


class AgentCrash(Lasting):
    """After ``for`` another agent goes on where the killed one was."""

    kind: Literal["agent-crash"]
    target: Target = "n1"


class _AgentCrashAction(FaultAction[AgentCrash], of=AgentCrash):
    """Kills a node's agent."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        node = self._context.world.nodes[self._fault.target]
        killed = isinstance(node, KillsAgent) and node.kill_agent()
        if not killed:
            raise NotPossible(f"the agent of {node.name} was down")
        self._context.holds.down.hold(self, {("agent", node.name): True})
        return event
