"""What a run knows of its nodes, their network and its time, whatever they are made of.

``supervisor``, ``inject``, ``collect``, the faults and held runs know these protocols and the
events, and nothing of any backend. ``backend.py`` says who makes a ``World``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from reserve_agent.contract.events import Event
from reserve_agent.errors import CrunchbedError

Fence = Callable[[str, str], bool]
"""Cuts a node off for another one: (target, by); returns whether it is confirmed."""
Undo = Callable[[], None]
"""Takes something back; harmless when it is called again."""
_ASKED_NS: Final = 100_000_000
"""Time in which a node's tasks have asked for a burst whose pages are all wanted at once."""


class Clock(Protocol):
    """The time of a run: real, or a simulator's."""

    def now_ns(self) -> int:
        """Return nanoseconds; the same clock as the times of events."""


class Loop(Clock, Protocol):
    """Lets the time of a run pass. All code of a run is called from its loop, by one thread."""

    def at(self, ns: int, call: Callable[[], None]) -> None:
        """Have something called once the clock is at ``ns``, while the loop runs."""

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until a condition holds or the time is up; returns whether it holds.

        Raises:
            KeyboardInterrupt: somebody wants the run to end.
        """


class NodeSilent(CrunchbedError):
    """Nobody can say at the moment how a node is: its agent was killed on purpose."""


@dataclass(frozen=True)
class NodeStatus:
    """A node that is up, at a moment. Pages are of 4 KiB, counts since the run began.

    Attributes:
        ready: Daemons that have begun their work since the last boot.
        view: Members of the node's latest view.
        serving: Whether it serves the block device.
        misses: Heartbeats that it has missed.
        written_pages: Pages whose writes were acknowledged.
        exhausted: Packets that its reserve had nothing left for, since the last boot.
        policy: The policy that it follows.
        pressure: Whether it is under memory pressure.
        waiting_pages: Pages that its tasks wait for.
        free_pages: Pages that nobody has.
        reserve_pages: Size of the reserve.
    """

    ready: Collection[str]
    view: Sequence[str]
    serving: bool
    misses: int
    written_pages: int
    exhausted: int
    policy: str
    pressure: bool
    waiting_pages: int
    free_pages: int
    reserve_pages: int


def burst_asked_ns(pages: int, rate: int) -> int:
    """Return the time from the begin of a burst until the node's tasks have asked for all pages.

    The burst is not over before. ``begin_burst`` has the arguments.
    """
    return pages * 1_000_000_000 // rate + _ASKED_NS


class Node(Protocol):
    """One node of a cluster. ``up`` is what its power switch says."""

    @property
    def name(self) -> str:
        """Its name, such as ``n1``."""

    @property
    def up(self) -> bool:
        """Whether it has power."""

    @property
    def incarnation(self) -> int:
        """Number of its life, from 0."""

    @property
    def daemon_names(self) -> tuple[str, ...]:
        """The daemons of the node when it is up."""

    @property
    def serves(self) -> bool:
        """Whether it is one of the pair that serves the block device."""

    def power_on(self) -> None:
        """Boot it; its daemons say when they are ready."""

    def power_off(self) -> None:
        """Take its power away; what was in its memory is gone."""

    def status(self) -> NodeStatus:
        """Return how it is.

        Raises:
            NodeSilent: its agent was killed on purpose.
        """

    def note(self, event: Event) -> None:
        """Put an event that the run knows of into the node's own part of the history."""

    def begin_burst(self, pages: int, rate: int, start_ns: int) -> None:
        """Have its tasks dirty pages from a moment on, so many a second at most."""

    def calm(self) -> None:
        """Have its tasks give up what they still wait for."""

    def begin_windows(self, windows: Sequence[tuple[int, int]], level: int) -> None:
        """Leave it ``level`` free pages in each window (begin and end, nanoseconds)."""

    def wake(self) -> None:
        """Have readers that did not read do so."""

    def resize(self, reserve: int) -> int:
        """Give it a reserve of so many pages; returns how many it had."""

    def set_policy(self, policy: str) -> None:
        """Have it follow another policy from the next packet on."""

    def pause(self, daemons: Collection[str]) -> None:
        """Have these daemons stand still, as far as the node has them."""

    def resume(self, daemons: Collection[str]) -> None:
        """Let those that still stand still go on."""

    def forget_neighbours(self) -> int:
        """Forget the hardware addresses of its neighbours; returns how many."""

    def count_reserve_users(self) -> None:
        """Write into the history which sockets the reserve went to."""

    def count_packets(self) -> None:
        """Write its packet counters into the history."""

    def watchdog_due(self) -> bool:
        """Whether a daemon that a watchdog guards has died of a signal."""

    def check(self) -> None:
        """Look whether all its parts live.

        Raises:
            RunInvalid: one ended though nobody ended it.
        """


@runtime_checkable
class KillsAgent(Protocol):
    """A node whose agent can be killed while the node goes on."""

    def kill_agent(self) -> bool:
        """Kill it; returns whether there was one."""

    def restart_agent(self) -> None:
        """Start another, unless there is one; returns when it answers."""


@dataclass(frozen=True)
class Impairment:
    """What happens to packets on their way into ``target``.

    Attributes:
        target: The host that they come to.
        source: The host that they come from; None: any.
        loss: Share of them that is lost, 0 to 1.
        delay_ns: By how much they are held back.
    """

    target: str
    source: str | None = None
    loss: float = 0.0
    delay_ns: int = 0


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


@dataclass(frozen=True)
class Flood:
    """Packets for a reader that does not read.

    Attributes:
        rate: Packets a second.
        duration_ns: How long they come.
        size: Bytes of payload of each.
        port: UDP port of the reader.
    """

    rate: int
    duration_ns: int
    size: int
    port: int


class MovesDisk(Protocol):
    """Ends and starts the block target of the storage host."""

    def kill_target(self) -> None:
        """Kill it; its end is no failure of the testbed."""

    def start_target(self, write_delay_ns: int = 0) -> None:
        """Start it on the same data; returns when it takes connections."""


class SwitchPower(Protocol):
    """The power of a network's switches."""

    def is_on(self, switch: str) -> bool:
        """Return whether a switch has power."""

    def turn_off(self, switch: str) -> None:
        """Take the power of a switch away, and the carrier of every link to it."""

    def turn_on(self, switch: str) -> None:
        """Give it back; the switch knows nothing of what it had learnt."""

    def links_to(self, switch: str) -> Mapping[str, Sequence[str]]:
        """Return the networks by which each host is linked to a switch."""

    def cut_off_by(self, switch: str) -> Sequence[str]:
        """Return the hosts that have no ring of heartbeats left without a switch."""


class KillsController(Protocol):
    """The OpenFlow controller of the switches."""

    def kill(self) -> bool:
        """Kill it; returns whether there was one."""

    def restart(self) -> None:
        """Start another."""

    def is_ready(self) -> bool:
        """Return whether every switch holds every flow."""


@dataclass(frozen=True)
class ReadBack:
    """What was found of all acknowledged blocks of 4 KiB.

    Attributes:
        checked: Blocks that were read.
        ok: Blocks that hold what was acknowledged last.
        lost: Blocks that hold something older, or nothing.
        corrupt: Blocks that hold what nobody wrote.
        bad_of_node: Lost and corrupt blocks by the node that wrote them.
    """

    checked: int
    ok: int
    lost: int
    corrupt: int
    bad_of_node: Mapping[str, int]


class World(Protocol):
    """A cluster that was built, of whatever; its nodes have no power before ``boot``.

    Abilities that not every backend has are None where they are missing; a backend refuses the
    scenarios that need them.
    """

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""

    @property
    def network(self) -> Network:
        """Their network."""

    @property
    def info(self) -> Mapping[str, Any]:
        """What the run's metadata says of it, such as the kind of switch."""

    @property
    def disk(self) -> MovesDisk | None:
        """The storage host's block target."""

    @property
    def switches(self) -> SwitchPower | None:
        """The power of the switches."""

    @property
    def controller(self) -> KillsController | None:
        """The OpenFlow controller."""

    def boot(self, fence: Fence) -> None:
        """Power every node on and start the traffic; ``fence`` serves who asks for a fence."""

    def released(self, node: str) -> None:
        """A fenced node boots: it may be fenced again."""

    def flood(self, target: str, flood: Flood, start_ns: int) -> None:
        """Have the storage host send packets to a reader that does not read."""

    def check(self) -> None:
        """Look whether all parts beside the nodes live.

        Raises:
            RunInvalid: one ended though nobody ended it.
        """

    def quiesce(self) -> None:
        """End the daemons and all senders: nothing more is acknowledged or counted."""

    def count_packets(self) -> None:
        """Write the packet counters of the switches into the history."""

    def read_back(self) -> ReadBack:
        """Read every acknowledged block."""
