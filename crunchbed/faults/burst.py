"""``burst``: normal tasks of a second node want pages, beside the scenario's crunch.

They are the node's own tasks, or those of a node that went down and whose work moves here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import Field

from crunchbed.faults.action import FaultAction, FaultContext
from crunchbed.faults.base import RANDOM, FaultSection, one_of_nodes
from crunchbed.run.world import NodeSilent, burst_asked_ns
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText, Target
from reserve_agent.contract.events.faults import BurstBegan, FaultBegan

_LEAD_NS: Final = 20_000_000
"""Time from telling the node to the burst, so that the burst begins at once everywhere."""

_Node = Annotated[str, kinds.text("a cluster node such as n1", r"n[1-9]\d{0,3}")]


class Burst(FaultSection):
    """``pages`` of 4 KiB are wanted, at most ``rate`` of them a second.

    ``work_of``: the node whose tasks want them; they move when that node goes down, which takes
    the time ``takes``. None: tasks of the target, at once.
    """

    kind: Literal["burst"]
    target: Target = "n2"
    pages: kinds.Pages = 12_000
    rate: Annotated[int, kinds.whole("pages a second", 1)] = 100_000_000
    work_of: _Node | None = Field(default=None, alias="work-of")
    takes: Annotated[int, kinds.duration("0s", "60s"), DurationText] = 0

    def _host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        yield from super()._host_contradictions(facts)
        if self.target in facts.pair:
            yield "target", f"a node that writes: {', '.join(facts.writers)}", self.target
        if self.work_of is not None and self.work_of not in facts.node_names:
            yield "work-of", one_of_nodes(facts, RANDOM), self.work_of
        if self.work_of == self.target:
            yield "work-of", "another node than target", str(self.work_of)


class _BurstAction(FaultAction[Burst], of=Burst):
    """Has the node's tasks want pages, now or once the other node has gone down."""

    def __init__(self, fault: Burst, context: FaultContext) -> None:
        super().__init__(fault, context)
        nodes = context.world.nodes
        self._node = nodes[fault.target]
        self._other = None if fault.work_of is None else nodes[fault.work_of]
        self._loop = context.loop
        self._other_boot = 0
        self._moves_at: int | None = None
        self._boot: int | None = None
        self._earliest_end_ns = 0

    def begin(self, event: FaultBegan) -> FaultBegan:
        if self._other is not None:
            self._other_boot = self._other.incarnation
            return replace(event, pages=self._fault.pages, from_=self._other.name)
        self._with_power(self._fault.target)
        self._start()
        return replace(event, pages=self._fault.pages)

    def _start(self) -> None:
        fault, start = self._fault, self._loop.now_ns() + _LEAD_NS
        self._node.begin_burst(fault.pages, fault.rate, start)
        self._boot = self._node.incarnation  # where that has failed there is nothing to undo
        self._earliest_end_ns = start + burst_asked_ns(fault.pages, fault.rate)
        began = BurstBegan(t=start, target=fault.target, pages=fault.pages)
        self._context.recorder.record(began)

    def lingers(self) -> bool:
        """Whether the burst goes on, or is about to begin; begins it when it is due."""
        if self._boot is None and not self._begun_by_now():
            return self._moves_at is not None and self._node.up
        if self._rebooted:
            return False
        if self._loop.now_ns() < self._earliest_end_ns:
            return True
        try:
            status = self._node.status()
        except NodeSilent:
            return True  # nobody knows until there is an agent again
        return status.waiting_pages > 0 or status.pressure

    def _begun_by_now(self) -> bool:
        """Begin the burst if the work of the other node has moved; returns whether it has."""
        if self._moves_at is None and self._other_went_down():
            self._moves_at = self._loop.now_ns() + self._fault.takes
        due = self._moves_at is not None and self._loop.now_ns() >= self._moves_at
        if not due or not self._node.up:
            return False
        self._start()
        return True

    def _other_went_down(self) -> bool:
        other = self._other
        return other is not None and (not other.up or other.incarnation != self._other_boot)

    @property
    def _rebooted(self) -> bool:
        return not self._node.up or self._node.incarnation != self._boot

    def undo(self) -> None:
        if self._boot is not None and not self._rebooted:
            self._node.calm()
