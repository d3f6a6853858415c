"""``arp-expiry``: a node forgets its neighbours' hardware addresses, as after their time is up."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from crunchbed.faults.base import FaultContext, FaultSection, NotPossible
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan


class ArpExpiry(FaultSection):
    """The node has to ask for every address again."""

    kind: Literal["arp-expiry"]
    target: Target = "n1"

    def action(self, context: FaultContext) -> ArpExpiryAction:
        """Return the fault, ready to begin."""
        return ArpExpiryAction(self, context)


class ArpExpiryAction:
    """Has a node forget its neighbours."""

    def __init__(self, fault: ArpExpiry, context: FaultContext) -> None:
        self._node = context.world.nodes[fault.target]

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Forget all neighbours; before the next packet the node has to ask for the address."""
        if not self._node.up:
            raise NotPossible(f"{self._node.name} was down")
        forgotten = self._node.forget_neighbours()
        if not forgotten:
            raise NotPossible(f"{self._node.name} knew no neighbour")
        return replace(event, forgotten=forgotten)

    def undo(self) -> None:
        """Do nothing: the node asks for the addresses by itself."""
