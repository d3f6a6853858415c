"""``link-down``: the switch ports of a host go down, all or that to one network.

The host sees its carrier go. A node that boots meanwhile has no link either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Final, Literal

from crunchbed.faults.action import FaultAction, FaultContext
from crunchbed.faults.base import STORAGE, Effect, Host, Lasting, targets_of
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

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """The host has lost one network, or all."""
        targets = targets_of(event)
        if event.network is None:
            return Effect(unlinked=targets, silenced=targets, path_failed=True)
        lost = dict.fromkeys(targets, (event.network,))
        return Effect(lost=lost, silenced=targets, path_failed=True)

    def _own_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        known = facts.networks_of(self.target)
        if self.network not in (None, *known):
            yield "network", f"one of {', '.join(known)}", str(self.network)


class _LinkDownAction(FaultAction[LinkDown], of=LinkDown):
    """Cuts the links and mends them; records ``port.up`` once packets pass again."""

    def __init__(self, fault: LinkDown, context: FaultContext) -> None:
        super().__init__(fault, context)
        self._network = context.world.network
        self._loop = context.loop
        self._settle_until: int | None = None
        self._number: int | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        host, network = self._fault.target, self._fault.network
        self._number = event.number
        self._context.recorder.record(PortDown(target=host, network=network, number=event.number))
        named = self._network.networks(host) if network is None else (network,)
        self._context.holds.links.hold(self, {(host, one): True for one in named})
        self._network.cut(host, network)
        return replace(event, network=network)

    def undo(self) -> None:
        mine = self._context.holds.links.of(self)
        super().undo()
        if mine and self._network.mend(self._fault.target, self._fault.network):
            self._settle_until = self._loop.now_ns() + _SETTLE_NS

    def settling(self) -> bool:
        host, network = self._fault.target, self._fault.network
        if self._settle_until is None:
            return False
        if self._loop.now_ns() < self._settle_until and not self._network.settled(host):
            return True
        self._settle_until = None
        self._context.recorder.record(PortUp(target=host, network=network, number=self._number))
        return False
