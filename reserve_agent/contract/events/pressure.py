"""Memory: the pool, its pressure, the packets that were dropped, and the node's agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypedDict

from reserve_agent.contract.events.base import Event

PacketCount = TypedDict(
    "PacketCount",
    {"hook": str, "class": str, "verdict": str, "reason": str, "packets": int, "pages": int},
)
"""A row of packet counters: packets on the wire and pages of 4 KiB that they took."""


class ReserveUser(TypedDict):
    """A socket that reserve pages went to; ``pages`` of 4 KiB."""

    protocol: str
    cls: str
    local_port: int
    remote_port: int
    memalloc: bool
    pages: int


@dataclass(frozen=True, kw_only=True)
class PoolConfigured(Event):
    """How a node's memory is divided; recorded again after each change.

    Attributes:
        total: Pages of 4 KiB that the node has.
        reserve: Pages of the reserve, R.
        clean: Pages that tasks use from the start and that need no writing.
        computed: Pages that the reserve must have for the sockets of the node.
        policy: Name of the policy that the node follows.
        metrics_port: Port on 127.0.0.1 that serves the node's metrics.
    """

    kind: ClassVar[str] = "pool.config"
    total: int
    reserve: int
    clean: int
    computed: int = 0
    policy: str
    metrics_port: int


@dataclass(frozen=True, kw_only=True)
class PoolSampled(Event):
    """A node's memory at a moment, in pages of 4 KiB.

    Attributes:
        free: Free pages.
        dirty: Pages of tasks that must be written before they are free.
        demand: Pages that waiting tasks want.
        rx_running: Pages of received packets whose reader reads.
        rx_stalled: Pages of received packets whose reader does not read.
        hoarded: Pages that a timed crunch has taken.
        tx: Pages in write queues of TCP.
        low_water: Fewest free pages since the node's start.
    """

    kind: ClassVar[str] = "pool.sample"
    free: int
    dirty: int
    demand: int
    rx_running: int
    rx_stalled: int
    hoarded: int = 0
    tx: int
    low_water: int


@dataclass(frozen=True, kw_only=True)
class PressureBegan(Event):
    """Free pages fell to the reserve or below.

    Attributes:
        free: Free pages of 4 KiB at that moment.
        entry: Number of this entry in the hooks' journal.
    """

    kind: ClassVar[str] = "pressure.begin"
    free: int
    entry: int | None = None


@dataclass(frozen=True, kw_only=True)
class PressureEnded(Event):
    """There are more free pages than the reserve again.

    Attributes:
        since: When the pressure began, nanoseconds of CLOCK_MONOTONIC.
        duration_ns: How long the pressure lasted, nanoseconds.
        entry: Number of this entry in the hooks' journal.
    """

    kind: ClassVar[str] = "pressure.end"
    since: int
    duration_ns: int
    entry: int | None = None


@dataclass(frozen=True, kw_only=True)
class PacketDropped(Event):
    """A hook dropped a heartbeat, or another packet whose loss has to be explained.

    Attributes:
        hook: Hook that dropped it: ``receive``, ``deliver`` or ``transmit``.
        reason: Why the hook dropped it: a name of ``Reason`` in small letters.
        cls: Class of the packet, such as ``block-io``.
        src: Source address of the packet.
        dst: Destination address of the packet.
        tag: First eight bytes of the payload, in hexadecimal.
        pages: Pages of 4 KiB that the packet would have taken.
        entry: Number of this entry in the hooks' journal.
    """

    kind: ClassVar[str] = "drop"
    hook: str
    reason: str
    cls: str
    src: str = ""
    dst: str = ""
    tag: str = ""
    pages: int = 0
    entry: int | None = None


@dataclass(frozen=True, kw_only=True)
class JournalFollowed(Event):
    """An agent begins to read the hooks' journal.

    Attributes:
        next: Number of the first entry that the agent will read.
    """

    kind: ClassVar[str] = "journal.follow"
    next: int


@dataclass(frozen=True, kw_only=True)
class HookEventsLost(Event):
    """The hooks wrote over entries of their journal before the agent had read them.

    Attributes:
        count: Number of entries that were lost.
    """

    kind: ClassVar[str] = "hook.events_lost"
    count: int


@dataclass(frozen=True, kw_only=True)
class PacketsCounted(Event):
    """The hooks' packet counters at the end of a run.

    Attributes:
        table: A row for each hook, class and reason that has met a packet.
    """

    kind: ClassVar[str] = "packets"
    table: Sequence[PacketCount]


@dataclass(frozen=True, kw_only=True)
class ReserveUsersCounted(Event):
    """How many pages of the reserve each socket got.

    Attributes:
        table: A row for each socket.
    """

    kind: ClassVar[str] = "reserve.users"
    table: Sequence[ReserveUser]


@dataclass(frozen=True, kw_only=True)
class ReserveSmall(Event):
    """The reserve is smaller than the sockets need.

    Attributes:
        reserve: Pages of 4 KiB that the reserve has.
        computed: Pages that the reserve must have.
    """

    kind: ClassVar[str] = "reserve.small"
    reserve: int
    computed: int


@dataclass(frozen=True, kw_only=True)
class SocketAttached(Event):
    """A node has a new throttled memalloc socket, or the queue depth of one has changed.

    Attributes:
        socket: The socket, with the fields of ``sizing.Throttled``.
    """

    kind: ClassVar[str] = "socket.attached"
    socket: Mapping[str, str | int | bool]


@dataclass(frozen=True, kw_only=True)
class SocketDetached(Event):
    """A throttled memalloc socket is gone.

    Attributes:
        name: Name of the socket, as in ``socket.attached``.
    """

    kind: ClassVar[str] = "socket.detached"
    name: str


@dataclass(frozen=True, kw_only=True)
class EmergencyChanged(Event):
    """The flag of the policy ``critical`` was raised or lowered.

    Attributes:
        raised: Whether the flag is up now.
    """

    kind: ClassVar[str] = "emergency"
    raised: bool


@dataclass(frozen=True, kw_only=True)
class AgentLate(Event):
    """An agent woke late, and did late what was due.

    Attributes:
        late_ns: How late, nanoseconds.
    """

    kind: ClassVar[str] = "agent.late"
    late_ns: int


@dataclass(frozen=True, kw_only=True)
class AgentRestarted(Event):
    """A new agent goes on where a killed agent has stopped.

    Attributes:
        since: Time of the last event of the killed agent, nanoseconds of CLOCK_MONOTONIC.
    """

    kind: ClassVar[str] = "agent.restarted"
    since: int


@dataclass(frozen=True, kw_only=True)
class EventsLost(Event):
    """Events of a daemon did not reach the history.

    Attributes:
        count: Number of lost events, at least.
    """

    kind: ClassVar[str] = "events.lost"
    count: int
