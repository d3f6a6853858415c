"""What every kind of fault has: settings, an action on the cluster, an effect that checks know of.

Durations and times are nanoseconds; the times are those of the run's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from crunchbed.faults.action import FaultAction, FaultContext
from crunchbed.scenario import kinds
from crunchbed.scenario.facts import ClusterFacts, Contradiction
from crunchbed.scenario.kinds import DurationText
from crunchbed.scenario.section import Section
from crunchbed.scenario.units import format_duration
from reserve_agent.contract.events.faults import FaultBegan

STORAGE: Final = "storage"
"""The target that is the storage host."""
CONTROLLER: Final = "controller"
"""The target that is the OpenFlow controller."""
RANDOM: Final = "random"
"""The target that the seed draws from the cluster nodes."""
MOST_FAULTS: Final = 1000
"""Faults that a scenario may have, each as often as it comes."""
_ONCE: Final = "after + jitter + for"

DIRECTIONS: Final = ("in", "out", "both")
"""Of packets: those that come to a host, those that leave it."""
Direction = Annotated[str, kinds.choice(DIRECTIONS)]
Host = Annotated[
    str,
    kinds.text("a cluster node such as n1, storage, or random", r"n[1-9]\d{0,3}|storage|random"),
]


# --- the effect


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a fault did to the cluster, as far as the checks need to know.

    Attributes:
        parted: Nodes that hear nothing from the other nodes, nor the other nodes from them.
        stalled: Daemons that stand still, by node.
        muted: Nodes none of whose packets arrive at any other node.
        deaf: Nodes that no packet of another node arrives at.
        unheard: Pairs (sender, observer) of which the observer gets no packet of the sender.
        unlinked: Hosts that have no link to any network.
        lost: Networks that hosts have no link to, by host; for those with other links left.
        silenced: Nodes that the other nodes may stop hearing, and so remove from their views.
        path_failed: Whether a link or a switch failed, so that packets had to take another path.
        switch_failed: Whether a switch failed, which may have stopped packets of any host.
        target_failed: Whether every node's writes had to wait for the block target.
    """

    parted: Collection[str] = ()
    stalled: Mapping[str, Collection[str]] = field(default_factory=dict)
    muted: Collection[str] = ()
    deaf: Collection[str] = ()
    unheard: Collection[tuple[str, str]] = ()
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


class FaultSection(Section):
    """The settings of every kind of fault.

    ``after`` counts from the begin of the inject phase. ``jitter`` is the longest time by which
    the seed may delay the fault further. The fault comes ``count`` times, one in each period
    ``every``; target and jitter of each are drawn.
    """

    beside_nodes: ClassVar[tuple[str, ...]] = ()
    """Targets that are not cluster nodes."""
    action_class: ClassVar[type[FaultAction[Any]]]
    """What carries faults of this kind out; set by the class that says ``of=`` this one."""

    kind: str
    after: Annotated[int, kinds.duration("0s"), DurationText] = 1_000_000_000
    jitter: Annotated[int, kinds.duration("0s"), DurationText] = 0
    count: Annotated[int, kinds.whole("times", 1, MOST_FAULTS)] = 1
    every: Annotated[int, kinds.duration("1ms"), kinds.DurationText] | None = None

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave defaults of later keys out, so that scenarios from before them stay equal."""
        written: dict[str, Any] = write(self)
        for key in ("count", "every", "direction"):
            if key in written and getattr(self, key) == type(self).model_fields[key].default:
                del written[key]
        return written

    @property
    def lasts_ns(self) -> int | None:
        """Time from the begin to the undo; None: until the injection is over."""
        return None

    def repeated(self) -> list[Self]:
        """Return the fault as often as it comes, each once; with the range of its jitter."""
        once = {"count": 1, "every": None}
        return [
            self.model_copy(update={**once, "after": self.after + number * (self.every or 0)})
            for number in range(self.count)
        ]

    def candidates(self, facts: ClusterFacts) -> tuple[str, ...]:
        """Return the nodes that the fault can hit, in order; a draw is made among them."""
        return tuple(name for name in facts.node_names if self._fits(name, facts))

    def _fits(self, name: str, facts: ClusterFacts) -> bool:
        return not any(self.aimed_at(name)._misfits(facts))

    def _misfits(self, facts: ClusterFacts) -> Iterator[Contradiction]:
        yield from self._host_contradictions(facts)
        yield from self._own_contradictions(facts)

    @property
    def targets(self) -> tuple[str, ...]:
        """The hosts that the fault hits."""
        target: str | tuple[str, ...] = getattr(self, "target")  # noqa: B009 - of every kind
        return (target,) if isinstance(target, str) else target

    def aimed_at(self, node: str) -> Self:
        """Return the same fault with another target."""
        return self.model_copy(update={"target": node})

    def action(self, context: FaultContext) -> FaultAction[Any]:
        """Return the fault, ready to begin; nothing is done to the cluster yet."""
        return self.action_class(self, context)

    @staticmethod
    def effect(_event: FaultBegan, /) -> Effect:
        """Return what a fault of this kind did to the cluster. Pure."""
        return Effect()

    def contradictions(self, facts: ClusterFacts) -> Iterator[Contradiction]:
        """Yield what does not go with the rest of the scenario; keys are relative to the fault."""
        yield from self._host_contradictions(facts)
        yield from self._time_contradictions(facts)
        yield from self._own_contradictions(facts)
        aimless = RANDOM in self.targets
        if aimless and not any(self._fits(name, facts) for name in facts.node_names):
            yield "target", "a target that this fault can hit: no cluster node is one", RANDOM

    def _time_contradictions(self, facts: ClusterFacts) -> Iterator[Contradiction]:
        if (self.count > 1) != (self.every is not None):
            yield "every", "every and a count of 2 or more together", f"count {self.count}"
        repetition = (self.count - 1) * (self.every or 0)
        end = self.after + self.jitter + repetition + (self.lasts_ns or 0)
        if end > facts.inject_ns:
            sum_of = "after + jitter + (count - 1) x every + for" if repetition else _ONCE
            yield (
                "after" if self.lasts_ns is None else "for",
                f"{sum_of} within phases.inject ({format_duration(facts.inject_ns)})",
                format_duration(end),
            )

    def _host_contradictions(self, facts: ClusterFacts, /) -> Iterator[Contradiction]:
        """Yield the hosts that the cluster does not have, or that the fault cannot hit."""
        others = (RANDOM, *self.beside_nodes)
        for target in self.targets:
            if target not in others and target not in facts.node_names:
                yield "target", one_of_nodes(facts, RANDOM, *self.beside_nodes), target

    def _own_contradictions(self, _facts: ClusterFacts, /) -> Iterator[Contradiction]:
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
