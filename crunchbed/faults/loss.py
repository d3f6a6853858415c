"""``loss``: a bad cable. A node loses a share of the packets that come to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from crunchbed.faults.base import STORAGE, FaultContext, Lasting, one_of_nodes
from crunchbed.run.world import Impairment, Undo
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import Target
from reserve_agent.contract.events.faults import FaultBegan

Sender = Annotated[
    str, kinds.text("a cluster node such as n1, or storage", r"n[1-9]\d{0,3}|storage")
]


class Loss(Lasting):
    """``share`` of the packets, 0 to 1, from ``sender`` (key ``from``) or from everybody."""

    kind: Literal["loss"]
    target: Target = "n1"
    share: Annotated[float, kinds.fraction(0.001, 1)] = 0.3
    sender: Sender | None = Field(default=None, alias="from")

    def action(self, context: FaultContext) -> LossAction:
        """Return the fault, ready to begin."""
        return LossAction(self, context)

    def host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield a target or a sender that the cluster does not have."""
        yield from super().host_contradictions(facts)
        if self.sender not in (None, *facts.node_names, STORAGE):
            yield "from", one_of_nodes(facts, STORAGE), str(self.sender)


class LossAction:
    """Loses packets; which ones is drawn when they come, not from the seed."""

    def __init__(self, fault: Loss, context: FaultContext) -> None:
        self._network = context.world.network
        self._impairment = Impairment(fault.target, fault.sender, loss=fault.share)
        self._undo: Undo | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Have the node lose packets."""
        self._undo = self._network.impair([self._impairment])
        return replace(event, share=self._impairment.loss, from_=self._impairment.source)

    def undo(self) -> None:
        """Lose nothing any more."""
        if self._undo is not None:
            self._undo()
