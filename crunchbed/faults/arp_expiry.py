"""``arp-expiry``: a node forgets its neighbours' hardware addresses, as after their time is up."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from crunchbed.faults.action import FaultAction, NotPossible
from crunchbed.faults.base import FaultSection
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan


class ArpExpiry(FaultSection):
    """The node has to ask for every address again."""

    kind: Literal["arp-expiry"]
    target: Target = "n1"


class _ArpExpiryAction(FaultAction[ArpExpiry], of=ArpExpiry):
    """Has a node forget its neighbours; before the next packet it has to ask for the address."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        node = self._with_power(self._fault.target)
        forgotten = node.forget_neighbours()
        if not forgotten:
            raise NotPossible(f"{node.name} knew no neighbour")
        return replace(event, forgotten=forgotten)
