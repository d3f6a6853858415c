"""What every kind of fault has: settings, an action on the cluster, an effect that checks know of.

Durations and times are nanoseconds; the times are those of the run's clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Protocol, Self, runtime_checkable

from pydantic import Field

from crunchbed.run.world import Loop, World
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText
from crunchbed.scenario.section import Section
from crunchbed.scenario.units import format_duration
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import FaultBegan

STORAGE: Final = "storage"
"""The target that is the storage host."""
CONTROLLER: Final = "controller"
"""The target that is the OpenFlow controller."""
RANDOM: Final = "random"
"""The target that the seed draws from the cluster nodes."""

Host = Annotated[
    str,
    kinds.text("a cluster node such as n1, storage, or random", r"n[1-9]\d{0,3}|storage|random"),
]


# --- the action


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
    """

    world: World
    power: Power
    recorder: EventRecorder
    loop: Loop


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


# --- the effect


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a fault did to the cluster, as far as the checks need to know.

    Attributes:
        parted: Nodes that hear nothing from the other nodes, nor the other nodes from them.
        stalled: Daemons that stand still, by node.
        unlinked: Hosts that have no link to any network.
        lost: Networks that hosts have no link to, by host; for those with other links left.
        silenced: Nodes that the other nodes may stop hearing, and so remove from their views.
        path_failed: Whether a link or a switch failed, so that packets had to take another path.
        switch_failed: Whether a switch failed, which may have stopped packets of any host.
        target_failed: Whether every node's writes had to wait for the block target.
    """

    parted: Collection[str] = ()
    stalled: Mapping[str, Collection[str]] = field(default_factory=dict)
    unlinked: Collection[str] = ()
    lost: Mapping[str, Collection[str]] = field(default_factory=dict)
    silenced: Collection[str] = ()
    path_failed: bool = False
    switch_failed: bool = False
    target_failed: bool = False


def targets_of(event: FaultBegan) -> tuple[str, ...]:
    """Return the hosts that a fault hit; older histories name a single one."""
    return tuple(event.targets) or (event.target or event.node,)


# --- the settings


class FaultSection(Section, ABC):
    """The settings of every kind of fault.

    ``after`` counts from the begin of the inject phase. ``jitter`` is the longest time by which
    the seed may delay the fault further.
    """

    beside_nodes: ClassVar[tuple[str, ...]] = ()
    """Targets that are not cluster nodes."""

    kind: str
    after: Annotated[int, kinds.duration("0s"), DurationText] = 1_000_000_000
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 0

    @property
    def lasts_ns(self) -> int | None:
        """Time from the begin to the undo; None: until the injection is over."""
        return None

    @property
    def targets(self) -> tuple[str, ...]:
        """The hosts that the fault hits."""
        target: str | tuple[str, ...] = getattr(self, "target")  # noqa: B009 - of every kind
        return (target,) if isinstance(target, str) else target

    def aimed_at(self, node: str) -> Self:
        """Return the same fault with another target."""
        return self.model_copy(update={"target": node})

    @abstractmethod
    def action(self, context: FaultContext) -> FaultAction:
        """Return the fault, ready to begin; nothing is done to the cluster yet."""

    @staticmethod
    def effect(_event: FaultBegan, /) -> Effect:
        """Return what a fault of this kind did to the cluster. Pure."""
        return Effect()

    def contradictions(self, facts: ClusterFacts) -> Iterator[Contradiction]:
        """Yield what does not go with the rest of the scenario; keys are relative to the fault."""
        yield from self.host_contradictions(facts)
        end = self.after + self.jitter + (self.lasts_ns or 0)
        if end > facts.inject_ns:
            yield (
                "after" if self.lasts_ns is None else "for",
                f"after + jitter + for within phases.inject ({format_duration(facts.inject_ns)})",
                format_duration(end),
            )
        yield from self.own_contradictions(facts)

    def host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield the hosts that the cluster does not have, or that the fault cannot hit."""
        known = (*facts.node_names, RANDOM, *self.beside_nodes)
        for target in self.targets:
            if target not in known:
                yield "target", one_of_nodes(facts, RANDOM, *self.beside_nodes), target

    def own_contradictions(self, _facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield what else does not go with this kind."""
        yield from ()


class Lasting(FaultSection):
    """A fault that is undone after the time ``for``."""

    length: Annotated[int, kinds.duration("1ms"), DurationText] = Field(
        default=2_000_000_000, alias="for"
    )

    @property
    def lasts_ns(self) -> int:
        """Time from the begin to the undo."""
        return self.length


def one_of_nodes(facts: ClusterFacts, *others: str) -> str:
    """Return the words for "one of the cluster nodes, or one of these others"."""
    last = facts.node_names[-1]
    if len(others) == 1:
        return f"n1 to {last}, or {others[0]}"
    return f"n1 to {last}, {' or '.join(others)}"
