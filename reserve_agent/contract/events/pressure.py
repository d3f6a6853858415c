"""Memory: the pool, its pressure, packets that it cost, and the agent that keeps its books."""

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
    """How a node's memory is laid out; again whenever that changes.

    Attributes:
        total: Pages of 4 KiB that the node has.
        reserve: Pages of the reserve, R.
        clean: Pages that tasks use from the start and that need no writing.
        computed: Pages that the reserve must have, by the sockets that there are.
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
        free: Nobody has them.
        dirty: Used by tasks, to be written before they are free.
        demand: Wanted by tasks that wait.
        rx_running: Held by received packets whose reader reads.
        rx_stalled: Held by received packets whose reader does not read.
        hoarded: Taken away by a timed crunch.
        tx: Held by write queues of TCP.
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
        duration_ns: How long it lasted.
        entry: Number of this entry in the hooks' journal.
    """

    kind: ClassVar[str] = "pressure.end"
    since: int
    duration_ns: int
    entry: int | None = None


@dataclass(frozen=True, kw_only=True)
class PacketDropped(Event):
    """A hook dropped a heartbeat, or another packet worth a question.

    Attributes:
        hook: Where: ``receive``, ``deliver`` or ``transmit``.
        reason: Why, one of ``packets.Reason`` in small letters.
        cls: Class of the packet, such as ``block-io``.
        src: Its source address.
        dst: Its destination address.
        tag: First eight bytes of its payload, in hexadecimal.
        pages: Pages of 4 KiB that it would have taken.
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
        next: Number of the first entry that it will read.
    """

    kind: ClassVar[str] = "journal.follow"
    next: int


@dataclass(frozen=True, kw_only=True)
class HookEventsLost(Event):
    """The hooks' journal went round before the agent had read it.

    Attributes:
        count: Entries that nobody has read.
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
    """Which sockets the reserve went to.

    Attributes:
        table: A row for each socket.
    """

    kind: ClassVar[str] = "reserve.users"
    table: Sequence[ReserveUser]


@dataclass(frozen=True, kw_only=True)
class ReserveSmall(Event):
    """The reserve is smaller than the sockets need.

    Attributes:
        reserve: Pages of 4 KiB that it has.
        computed: Pages that it must have.
    """

    kind: ClassVar[str] = "reserve.small"
    reserve: int
    computed: int


@dataclass(frozen=True, kw_only=True)
class SocketAttached(Event):
    """A throttled memalloc socket is there, or has another queue depth.

    Attributes:
        socket: The fields of ``sizing.Throttled``.
    """

    kind: ClassVar[str] = "socket.attached"
    socket: Mapping[str, str | int | bool]


@dataclass(frozen=True, kw_only=True)
class SocketDetached(Event):
    """A throttled memalloc socket is gone.

    Attributes:
        name: Which, as in ``socket.attached``.
    """

    kind: ClassVar[str] = "socket.detached"
    name: str


@dataclass(frozen=True, kw_only=True)
class EmergencyChanged(Event):
    """The flag of the policy ``critical`` was raised or lowered.

    Attributes:
        raised: Whether it is up now.
    """

    kind: ClassVar[str] = "emergency"
    raised: bool


@dataclass(frozen=True, kw_only=True)
class AgentLate(Event):
    """An agent did not get to what was due on time.

    Attributes:
        late_ns: By how much, nanoseconds.
    """

    kind: ClassVar[str] = "agent.late"
    late_ns: int


@dataclass(frozen=True, kw_only=True)
class AgentRestarted(Event):
    """An agent goes on where one that was killed has stopped.

    Attributes:
        since: Time of the last event of the agent before, nanoseconds of CLOCK_MONOTONIC.
    """

    kind: ClassVar[str] = "agent.restarted"
    since: int


@dataclass(frozen=True, kw_only=True)
class EventsLost(Event):
    """Events of a daemon did not reach the history.

    Attributes:
        count: How many at least.
    """

    kind: ClassVar[str] = "events.lost"
    count: int
