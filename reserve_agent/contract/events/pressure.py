"""Memory: the pool, its pressure, the packets that were dropped, and the node's agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

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


class PoolConfigured(Event, kind="pool.config"):
    """How a node's memory is divided; recorded again after each change.

    Attributes:
        total: Pages of 4 KiB that the node has.
        reserve: Pages of the reserve, R.
        clean: Pages that tasks use from the start and that need no writing.
        computed: Pages that the reserve must have for the throttled memalloc sockets that the node
            has so far; on machines for all that it is to have.
        booked: Free pages up to which the pages of all received packets are booked, so that
            ``free`` and ``low_water`` are exact; of more they may be up to ``booked`` - ``reserve``
            too high. Without a value they are always exact.
        policy: Name of the policy that the node follows.
        memalloc: Classes of packets whose sockets are flagged now; of machines only.
        metrics_port: Port on 127.0.0.1 that serves the node's metrics.
    """

    total: int
    reserve: int
    clean: int
    computed: int = 0
    booked: int | None = None
    policy: str
    memalloc: Sequence[str] | None = None
    metrics_port: int


class PoolSampled(Event, kind="pool.sample"):
    """A node's memory at a moment, in pages of 4 KiB.

    Attributes:
        free: Free pages.
        dirty: Pages of tasks that must be written before they are free.
        demand: Pages that waiting tasks want.
        rx_running: Pages of received packets whose reader reads; none while there are more free
            pages than ``booked`` of ``pool.config``.
        rx_stalled: Pages of received packets whose reader waits for the pressure to end.
        hoarded: Pages of received packets whose reader does not read.
        tx: Pages in write queues of TCP.
        stock: Pages that a card's ring, its small buffers and heads of packets are made of.
        low_water: Fewest free pages since the node's start; exact up to ``booked`` of
            ``pool.config``.
    """

    free: int
    dirty: int
    demand: int
    rx_running: int
    rx_stalled: int
    hoarded: int = 0
    tx: int
    stock: int = 0
    low_water: int


class PressureBegan(Event, kind="pressure.begin"):
    """Free pages fell to the reserve or below.

    Attributes:
        free: Free pages of 4 KiB at that moment.
        entry: Number of this entry in the hooks' journal.
    """

    free: int
    entry: int | None = None


class PressureEnded(Event, kind="pressure.end"):
    """There are more free pages than the reserve again.

    Attributes:
        since: When the pressure began, nanoseconds of CLOCK_MONOTONIC.
        duration_ns: How long the pressure lasted, nanoseconds.
        entry: Number of this entry in the hooks' journal.
    """

    since: int
    duration_ns: int
    entry: int | None = None


class PacketDropped(Event, kind="drop"):
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

    hook: str
    reason: str
    cls: str
    src: str = ""
    dst: str = ""
    tag: str = ""
    pages: int = 0
    entry: int | None = None


class JournalFollowed(Event, kind="journal.follow"):
    """An agent begins to read the hooks' journal.

    Attributes:
        next: Number of the first entry that the agent will read.
    """

    next: int


class HookEventsLost(Event, kind="hook.events_lost"):
    """The hooks wrote over entries of their journal before the agent had read them.

    Attributes:
        count: Number of entries that were lost.
    """

    count: int


class PacketsCounted(Event, kind="packets"):
    """The hooks' packet counters at the end of a run.

    Attributes:
        table: A row for each hook, class and reason that has met a packet.
    """

    table: Sequence[PacketCount]


class ReserveUsersCounted(Event, kind="reserve.users"):
    """How many pages of the reserve each socket got.

    Attributes:
        table: A row for each socket.
    """

    table: Sequence[ReserveUser]


class ReserveSmall(Event, kind="reserve.small"):
    """The reserve is smaller than the sockets need.

    Attributes:
        reserve: Pages of 4 KiB that the reserve has.
        computed: Pages that the reserve must have.
    """

    reserve: int
    computed: int


class SocketAttached(Event, kind="socket.attached"):
    """A node has a new throttled memalloc socket, or the queue depth of one has changed.

    Attributes:
        socket: The socket, with the fields of ``sizing.Throttled``.
    """

    socket: Mapping[str, str | int | bool]


class SocketDetached(Event, kind="socket.detached"):
    """A throttled memalloc socket is gone.

    Attributes:
        name: Name of the socket, as in ``socket.attached``.
    """

    name: str


class EmergencyChanged(Event, kind="emergency"):
    """The flag of the policy ``critical`` was raised or lowered.

    Attributes:
        raised: Whether the flag is up now.
    """

    raised: bool


class AgentLate(Event, kind="agent.late"):
    """An agent woke late, and did late what was due.

    Attributes:
        late_ns: How late, nanoseconds.
    """

    late_ns: int


class AgentRestarted(Event, kind="agent.restarted"):
    """A new agent goes on where a killed agent has stopped.

    Attributes:
        since: Time of the last event of the killed agent, nanoseconds of CLOCK_MONOTONIC.
    """

    since: int
