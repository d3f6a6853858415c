"""A node forgets its neighbours' hardware addresses, as when their entries' time is up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crunchbed.run.faults.protocol import NotPossible, World
from crunchbed.scenario.faults import ArpExpiry
from nodes.ports import forget_neighbours
from reserve_agent.netns import network_namespace_of


class ArpExpiryFault:
    """See the module."""

    def __init__(self, fault: ArpExpiry, world: World) -> None:
        self._node = world.nodes[fault.target]

    def begin(self) -> Mapping[str, Any]:
        """Forget all of them; whatever is sent next has to ask first."""
        if not self._node.up:
            raise NotPossible(f"{self._node.name} was down")
        with network_namespace_of(self._node.host.pid):
            forgotten = forget_neighbours()
        if not forgotten:
            raise NotPossible(f"{self._node.name} knew no neighbour")
        return {"forgotten": forgotten}

    def undo(self) -> None:
        """They are asked for again by themselves."""
