"""What a run knows of its nodes, their network and its time, whatever they are made of.

The engine, the supervisor, crunches, faults and held runs know these protocols, the abilities and
the events, and nothing of any backend. ``backend.py`` says who makes a ``World``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from crunchbed.run.abilities import (
    KillsAgent,
    KillsController,
    MovesDisk,
    SwitchPower,
    TakesCommands,
)
from crunchbed.run.values import (
    Command,
    Flood,
    Impairment,
    NodeStatus,
    ReadBack,
    burst_asked_ns,
)
from reserve_agent.contract.events.base import Event
from reserve_agent.errors import CrunchbedError

# Abilities and values are part of a world, and may be had from here.
__all__ = [
    "Command",
    "Flood",
    "Impairment",
    "KillsAgent",
    "KillsController",
    "MovesDisk",
    "NodeStatus",
    "ReadBack",
    "SwitchPower",
    "TakesCommands",
    "burst_asked_ns",
]

STORAGE: Final = "storage"
"""The host that has the disk; it is no node."""

Undo = Callable[[], None]
"""Takes something back; harmless when it is called again."""


class Fence(Protocol):
    """The device that cuts nodes off."""

    def __call__(self, target: str, by: str, /) -> bool:
        """Cut a node off for another one; returns whether it is confirmed."""

    def wait_ns(self, target: str, by: str, /) -> int:
        """Return how long a request that has just come is to wait before it is carried out."""

    def requests(self, target: str, /) -> int:
        """Return how many requests to cut a node off were carried out, or failed."""

    def set(self, things: Mapping[tuple[str, str], int | None], /) -> None:
        """Set, or remove, what is wrong: ``fails`` (up to which request), ``takes`` (ns)."""


class EventRecorder(Protocol):
    """The run's own part of the history."""

    def record(self, event: Event, /) -> int:
        """Write an event, with the time now where it has none; returns the event's time."""


class Clock(Protocol):
    """The time of a run: real, or a simulator's."""

    def now_ns(self) -> int:
        """Return nanoseconds; the same clock as the times of events."""


class Loop(Clock, Protocol):
    """Lets the time of a run pass. One thread runs all code of a run, from this loop."""

    def at(self, ns: int, call: Callable[[], None]) -> None:
        """Have something called once the clock is at ``ns``, while the loop runs."""

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until a condition holds or the time is up; returns whether it holds.

        The condition is asked at once, and then after everything that the loop has called.

        Raises:
            KeyboardInterrupt: somebody wants the run to end.
        """


def never() -> bool:
    """A condition that never holds, and does nothing when it is asked: time is to pass."""
    return False


class NodeSilent(CrunchbedError):
    """Nobody can say at the moment how a node is: its agent was killed on purpose."""


class Node(Protocol):
    """One node of a cluster.

    Whatever a node cannot be told raises ``CrunchbedError``.
    """

    @property
    def name(self) -> str:
        """The node's name, such as ``n1``."""

    @property
    def up(self) -> bool:
        """Whether the node has power."""

    @property
    def incarnation(self) -> int:
        """Number of the node's life, from 0; one more from each ``power_off`` on."""

    @property
    def daemon_names(self) -> tuple[str, ...]:
        """The daemons of the node when it is up."""

    @property
    def serves(self) -> bool:
        """Whether the node is one of the pair that serves the block device."""

    def power_on(self) -> None:
        """Boot the node; ``status`` says when its daemons are ready."""

    def power_off(self) -> None:
        """Cut the node off for certain; what was in its memory is gone."""

    def status(self) -> NodeStatus:
        """Return how the node is.

        Raises:
            NodeSilent: its agent was killed on purpose.
        """

    def note(self, event: Event) -> None:
        """Put an event that the run knows of into the node's own part of the history."""

    def begin_burst(self, pages: int, rate: int, start_ns: int) -> None:
        """Have the node's tasks dirty pages from a moment on, at most so many a second.

        Raises:
            RunInvalid: the node does not take it.
        """

    def calm(self) -> None:
        """Have the node's tasks give up what they still wait for.

        Raises:
            RunInvalid: the node does not take it.
        """

    def begin_windows(self, windows: Sequence[tuple[int, int, int]]) -> None:
        """Leave the node few free pages in each window: begin and end, nanoseconds, and pages."""

    def wake(self) -> None:
        """Have readers that did not read do so."""

    def resize(self, reserve: int) -> int:
        """Give the node a reserve of so many pages; returns how many the reserve had."""

    def set_policy(self, policy: str) -> None:
        """Have the node follow another policy from the next packet on."""

    def pause(self, daemons: Collection[str]) -> None:
        """Have these daemons stand still, as far as the node has them."""

    def resume(self, daemons: Collection[str]) -> None:
        """Let those of the paused daemons that are still there go on."""

    def forget_neighbours(self) -> int:
        """Forget the hardware addresses of the node's neighbours; returns how many."""

    def count_reserve_users(self) -> None:
        """Write into the history which sockets the reserve went to."""

    def count_packets(self) -> None:
        """Write the node's packet counters into the history."""

    def watchdog_due(self) -> bool:
        """Return whether a daemon that a watchdog guards has died of a signal."""

    def check(self) -> None:
        """Look whether all parts of the node live.

        Raises:
            RunInvalid: one ended though nobody ended it.
        """


class Network(Protocol):
    """The hosts of a cluster and their links."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The nodes and the storage host."""

    def networks(self, host: str) -> tuple[str, ...]:
        """Return the networks that a host has a link to."""

    def cut(self, host: str, network: str | None = None) -> None:
        """Take the link of a host to one network down, or all its links."""

    def mend(self, host: str, network: str | None = None) -> bool:
        """Take one ``cut`` back; returns whether it was the last one of these links."""

    def settled(self, host: str) -> bool:
        """Return whether packets pass all links of a host that are up."""

    def impair(self, impairments: Iterable[Impairment]) -> Undo:
        """Impair packets; independent losses of the same packets add up. Returns the undo.

        Where it raises an error, no packet is impaired.
        """


class World(Protocol):
    """A cluster that was built, of whatever; its nodes have no power before ``boot``."""

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""

    @property
    def network(self) -> Network:
        """Their network."""

    @property
    def info(self) -> Mapping[str, Any]:
        """What the run's metadata says: ``switch``, its kind, and ``versions`` of programs.

        With ``repeatable`` a seed decides all that happens, and the history says nothing of this
        machine and its calendar.
        """

    @property
    def disk(self) -> MovesDisk | None:
        """The block target of the storage host."""

    @property
    def switches(self) -> SwitchPower | None:
        """The power of the switches."""

    @property
    def controller(self) -> KillsController | None:
        """The OpenFlow controller."""

    @property
    def commands(self) -> TakesCommands | None:
        """Who hears other terminals."""

    def boot(self, fence: Fence) -> None:
        """Power every node on and start the traffic; returns before all daemons are ready.

        Args:
            fence: Called for every node that somebody asks to cut off.
        """

    def released(self, node: str) -> None:
        """Say that a fenced node boots: it may be fenced again."""

    def flood(self, target: str, flood: Flood, start_ns: int) -> None:
        """Have the storage host send packets to a reader that does not read."""

    def check(self) -> None:
        """Look whether all parts beside the nodes live.

        Raises:
            RunInvalid: one ended though nobody ended it.
        """

    def quiesce(self) -> None:
        """End the daemons and all senders: nothing more is acknowledged or counted.

        Raises:
            RunInvalid: a node did not take it; everything has ended all the same.
        """

    def count_packets(self) -> None:
        """Write the packet counters of the switches into the history."""

    def read_back(self) -> ReadBack:
        """Read every acknowledged block.

        Raises:
            RunInvalid: that did not come to an end.
        """
