"""``loss``: a bad cable. A share of the packets to a node, or from it to other nodes, is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from crunchbed.faults.action import ImpairingAction
from crunchbed.faults.base import STORAGE, Direction, Effect, Lasting, one_of_nodes, targets_of
from crunchbed.faults.holds import lost_packets
from crunchbed.run.world import Impairment
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan

Sender = Annotated[
    str, kinds.text("a cluster node such as n1, or storage", r"n[1-9]\d{0,3}|storage")
]


class Loss(Lasting):
    """``share`` of the packets, 0 to 1, from ``sender`` (key ``from``) or from everybody.

    ``direction``: ``in`` loses them where they come to the target, ``out`` where the target's
    packets come to the other nodes.
    """

    kind: Literal["loss"]
    target: Target = "n1"
    share: Annotated[float, kinds.fraction(0.001, 1)] = 0.3
    sender: Sender | None = Field(default=None, alias="from")
    direction: Direction = "in"

    def _host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        yield from super()._host_contradictions(facts)
        if self.sender not in (None, *facts.node_names, STORAGE):
            yield "from", one_of_nodes(facts, STORAGE), str(self.sender)
        if self.sender is not None and self.direction != "in":
            yield "from", "no sender where packets of the target are lost", self.sender
        if self.sender == self.target:
            yield "from", "another node than target", self.target

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """A node is cut off in one direction where all packets are lost, else hears the rest."""
        targets = targets_of(event)
        if event.share is None or event.share < 1:
            return Effect()
        leaving, coming = event.direction in ("out", "both"), event.direction != "out"
        return Effect(
            muted=targets if leaving else (),
            deaf=targets if coming and event.from_ is None else (),
            unheard=[(event.from_, target) for target in targets] if event.from_ else (),
            silenced=targets if leaving else (),
        )


class _LossAction(ImpairingAction[Loss], of=Loss):
    """Loses packets; which ones is drawn when they come, not from the seed."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        fault, world = self._fault, self._context.world
        losses: list[Impairment] = []
        if fault.direction != "out":
            losses.append(Impairment(fault.target, fault.sender, loss=fault.share))
        if fault.direction != "in":
            others = (name for name in world.nodes if name != fault.target)
            losses += [Impairment(one, fault.target, loss=fault.share) for one in others]
        self.impair(lost_packets(losses, world.network.hosts), losses)
        direction = None if fault.direction == "in" else fault.direction
        return replace(event, share=fault.share, from_=fault.sender, direction=direction)
