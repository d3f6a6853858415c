"""``switch-crash``: a switch loses power; all its links lose their carrier.

Afterwards the switch knows nothing of what it had learnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal

from crunchbed.faults.action import FaultAction, FaultContext, NotPossible
from crunchbed.faults.base import Effect, Lasting
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from reserve_agent.contract.events.faults import FaultBegan, PortDown, PortUp

_SETTLE_NS: Final = 5_000_000_000
"""Time in which packets pass again after power on; not waited for any longer."""


class SwitchCrash(Lasting):
    """``target``: the switch."""

    kind: Literal["switch-crash"]
    target: Annotated[str, kinds.text("a switch such as s1", r"s[1-9]\d?")] = "s1"

    @staticmethod
    def effect(event: FaultBegan, /) -> Effect:
        """Hosts have lost networks; those without any ring of heartbeats are cut off."""
        cut = event.cut or ()
        return Effect(
            unlinked=cut,
            lost=event.lost or {},
            silenced=cut,
            path_failed=True,
            switch_failed=True,
        )

    def _host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        if self.target not in facts.switches:
            yield "target", f"one of {', '.join(facts.switches)}", self.target


class _SwitchCrashAction(FaultAction[SwitchCrash], of=SwitchCrash):
    """Takes a switch's power away.

    A host is cut off where no other switch gives it a ring of heartbeats. Once packets pass again,
    ``port.up`` is recorded of every host that was cut off.
    """

    def __init__(self, fault: SwitchCrash, context: FaultContext) -> None:
        super().__init__(fault, context)
        self._name = fault.target
        self._holds = context.holds
        self._recorder = context.recorder
        self._loop = context.loop
        self._links: Mapping[str, Sequence[str]] = {}
        self._cut: Sequence[str] = ()
        self._number: int | None = None
        self._settle_until: int | None = None

    def begin(self, event: FaultBegan) -> FaultBegan:
        switches = self._context.world.switches
        if switches is None or not switches.is_on(self._name):
            raise NotPossible(f"{self._name} was down")
        self._links = switches.links_to(self._name)
        self._cut = switches.cut_off_by(self._name)
        for host in self._cut:
            self._recorder.record(PortDown(target=host, switch=self._name, number=event.number))
        self._number = event.number
        self._holds.down.hold(self, {("switch", self._name): True})
        switches.turn_off(self._name)
        links = ((host, network) for host, lost in self._links.items() for network in lost)
        self._holds.links.hold(self, dict.fromkeys(links, True))
        return replace(event, cut=self._cut, lost=self._links)

    def undo(self) -> None:
        off = bool(self._holds.down.of(self))
        super().undo()
        if off:
            self._settle_until = self._loop.now_ns() + _SETTLE_NS

    def settling(self) -> bool:
        if self._settle_until is None:
            return False
        if self._loop.now_ns() < self._settle_until and not self._passes():
            return True
        self._settle_until = None
        for host in self._cut:
            self._recorder.record(PortUp(target=host, switch=self._name, number=self._number))
        return False

    def _passes(self) -> bool:
        world = self._context.world
        ready = world.controller is None or world.controller.is_ready()
        return ready and all(world.network.settled(host) for host in self._links)
