"""``link-down``: the switch ports of a host go down, all or that to one network.

The host sees its carrier go. A node that boots meanwhile has no link either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal

from crunchbed.faults.base import STORAGE, Effect, FaultContext, Host, Lasting, targets_of
from crunchbed.scenario import kinds
from crunchbed.scenario.cluster import LABELS
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from reserve_agent.contract.events.faults import FaultBegan, PortDown, PortUp

_SETTLE_NS: Final = 2_000_000_000
"""Time in which packets pass again after the port was set up; not waited for any longer."""


class LinkDown(Lasting):
    """``network``: the network whose link fails; None: all links of the host."""

    beside_nodes: ClassVar[tuple[str, ...]] = (STORAGE,)

    kind: Literal["link-down"]
    target: Host = "n1"
    network: Annotated[str, kinds.choice(LABELS)] | None = None

    def action(self, context: FaultContext) -> LinkDownAction:
        """Return the fault, ready to begin."""
        return LinkDownAction(self, context)

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """The host has lost one network, or all."""
        targets = targets_of(event)
        if event.network is None:
            return Effect(unlinked=targets, silenced=targets, path_failed=True)
        lost = dict.fromkeys(targets, (event.network,))
        return Effect(lost=lost, silenced=targets, path_failed=True)

    def own_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield a network that the host has no link to."""
        known = facts.networks_of(self.target)
        if self.network not in (None, *known):
            yield "network", f"one of {', '.join(known)}", str(self.network)


class LinkDownAction:
    """Cuts the links and mends them."""

    def __init__(self, fault: LinkDown, context: FaultContext) -> None:
        self._target = fault.target
        self._network_name = fault.network
        self._network = context.world.network
        self._links = context.holds.links
        self._recorder = context.recorder
        self._loop = context.loop
        self._settle_until: int | None = None
        self._number: int | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Cut the links."""
        self._number = event.number
        self._recorder.record(
            PortDown(target=self._target, network=self._network_name, number=event.number)
        )
        networks = self._network.networks(self._target)
        named = networks if self._network_name is None else (self._network_name,)
        self._links.hold(self, {(self._target, network): True for network in named})
        self._network.cut(self._target, self._network_name)
        return replace(event, network=self._network_name)

    def undo(self) -> None:
        """Mend the links; another fault may keep them down."""
        mine = self._links.of(self)
        self._links.release(self)
        if mine and self._network.mend(self._target, self._network_name):
            self._settle_until = self._loop.now_ns() + _SETTLE_NS

    def settling(self) -> bool:
        """Return whether packets do not pass yet; records ``port.up`` once packets pass."""
        if self._settle_until is None:
            return False
        if self._loop.now_ns() < self._settle_until and not self._network.settled(self._target):
            return True
        self._settle_until = None
        self._recorder.record(
            PortUp(target=self._target, network=self._network_name, number=self._number)
        )
        return False
