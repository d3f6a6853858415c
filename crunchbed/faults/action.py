"""What a fault does to a cluster, and what it acts on. Times are nanoseconds of the run's clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from crunchbed.faults.holds import Holds, Packets
from crunchbed.run.world import EventRecorder, Fence, Impairment, Loop, Node, Undo, World
from reserve_agent.contract.events.faults import FaultBegan

_Fault = TypeVar("_Fault")


class NotPossible(Exception):
    """The fault finds nothing to act on, for example because the node is down already."""


class Power(Protocol):
    """The nodes' power, as faults may use it."""

    def crash(self, name: str, reason: str) -> bool:
        """Take a node's power away without a fence; returns False where the node is down."""

    def boot_if_down(self, name: str) -> None:
        """Power a node on, unless the node is up or its reboot is due anyway."""


@dataclass(frozen=True)
class FaultContext:
    """What faults act on."""

    world: World
    power: Power
    recorder: EventRecorder
    loop: Loop
    fences: Fence

    @cached_property
    def holds(self) -> Holds:
        """Who holds what; each action is the owner of what it holds."""
        return Holds(self.world, self.power.boot_if_down, self.fences.set)


class FaultAction(ABC, Generic[_Fault]):
    """One fault, ready to begin. ``undo`` follows every ``begin``, also one that failed.

    A subclass names the kind of fault that it carries out: ``of=LinkDown``.

    Args:
        fault: The settings.
        context: What the fault acts on.
    """

    def __init_subclass__(cls, *, of: type[Any] | None = None) -> None:
        if of is not None:
            of.action_class = cls

    def __init__(self, fault: _Fault, context: FaultContext) -> None:
        self._fault = fault
        self._context = context

    def _with_power(self, name: str) -> Node:
        """Return a node; raises ``NotPossible`` where the node is down."""
        node = self._context.world.nodes[name]
        if not node.up:
            raise NotPossible(f"{name} was down")
        return node

    def _hold_target(self, what: str, value: int) -> None:
        """Hold the block target, see ``holds``; raises ``NotPossible`` where there is none."""
        if self._context.world.disk is None:
            raise NotPossible("the storage host has no block target")
        self._context.holds.target.hold(self, {(what,): value})

    @abstractmethod
    def begin(self, event: FaultBegan) -> FaultBegan:
        """Do it.

        Args:
            event: What the history is to say; names the kind and the targets.

        Returns:
            The event with the fields of this kind filled in.

        Raises:
            NotPossible: there is nothing to act on.
        """

    def lingers(self) -> bool:
        """Return whether what the fault began still goes on, though it has no end of its own."""
        return False

    def undo(self) -> None:
        """Take the fault back, as far as no other one holds the same; what was hit may be gone."""
        self._context.holds.release(self)

    def settling(self) -> bool:
        """Return whether the effect still lasts; asked again and again after ``undo``."""
        return False


class ImpairingAction(FaultAction[_Fault]):
    """A fault that something happens to packets as long as it is on."""

    _mend: Undo | None = None

    def impair(self, held: Iterable[Packets], impairments: Sequence[Impairment]) -> None:
        """Impair packets until the undo.

        Args:
            held: The packets, as the history names those that several faults hold.
            impairments: What happens to them.
        """
        self._context.holds.packets.hold(self, dict.fromkeys(held, True))
        self._mend = self._context.world.network.impair(impairments)

    def undo(self) -> None:
        """Have this fault do nothing to packets any more."""
        super().undo()
        if self._mend is not None:
            self._mend()
