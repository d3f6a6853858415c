"""What a fault does to a cluster, and what it acts on. Times are nanoseconds of the run's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from crunchbed.faults.holds import Holds
from crunchbed.run.world import Loop, World
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import FaultBegan


class NotPossible(Exception):
    """The fault finds nothing to act on, for example because the node is down already."""


class Power(Protocol):
    """The nodes' power, as faults may use it."""

    def crash(self, name: str, reason: str) -> bool:
        """Take a node's power away without a fence; returns False where the node is down."""

    def is_down(self, name: str) -> bool:
        """Return whether a node has no power."""

    def boot_if_down(self, name: str) -> None:
        """Power a node on, unless the node is up or its reboot is due anyway."""


class Fences(Protocol):
    """The device that cuts nodes off, as faults may use it."""

    def requests(self, target: str, /) -> int:
        """Return how many requests to cut a node off were carried out, or failed."""

    def set(self, things: Mapping[tuple[str, str], int | None], /) -> None:
        """Set, or remove, what is wrong: ``fails`` (up to which request), ``takes`` (ns)."""


class EventRecorder(Protocol):
    """The run's own part of the history."""

    def record(self, event: Event, /) -> int:
        """Write an event, with the time now where it has none; returns the event's time."""


@dataclass(frozen=True)
class FaultContext:
    """What faults act on.

    Attributes:
        world: The cluster.
        power: The nodes' power.
        recorder: The run's own part of the history.
        loop: The run's clock.
        fences: The device that cuts nodes off.
    """

    world: World
    power: Power
    recorder: EventRecorder
    loop: Loop
    fences: Fences

    @cached_property
    def holds(self) -> Holds:
        """Who holds what; each action is the owner of what it holds."""
        return Holds(self.world, self.power.boot_if_down, self.fences.set)


class FaultAction(Protocol):
    """One fault, ready to begin. ``undo`` follows every ``begin``, also one that failed."""

    def begin(self, event: FaultBegan) -> FaultBegan:
        """Do it.

        Args:
            event: What the history is to say; names the kind and the targets.

        Returns:
            The event with the fields of this kind filled in.

        Raises:
            NotPossible: there is nothing to act on.
        """

    def undo(self) -> None:
        """Take it back; the node or the process that was hit may be gone."""


@runtime_checkable
class Lingering(Protocol):
    """A fault without an end of its own, which the injection waits for."""

    def lingers(self) -> bool:
        """Return whether what the fault began still goes on."""


@runtime_checkable
class Settling(Protocol):
    """A fault whose effect lasts for a moment after the undo."""

    def settling(self) -> bool:
        """Return whether the effect still lasts; asked again and again after ``undo``."""
