"""Heartbeats: sent, received, missed, late; and the rings that carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from reserve_agent.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class HeartbeatSent(Event):
    """A daemon has sent one datagram to one or more peers.

    Attributes:
        seq: Number of the datagram, which counts the sender's intervals; None: corosync's packets.
        peers: Nodes that it was sent to; of corosync the number of packets that it sent.
        tag: First eight bytes of the datagram, in hexadecimal.
        failed: Peers that the kernel refused to send to.
        what: Kind of a datagram that is no heartbeat: ``ping``, ``ack``, ``ping_req`` and so on.
    """

    kind: ClassVar[str] = "heartbeat.sent"
    seq: int | None = None
    peers: Sequence[str] | int
    tag: str | None = None
    failed: Sequence[str] | None = None
    what: str | None = None


@dataclass(frozen=True, kw_only=True)
class HeartbeatReceived(Event):
    """What a daemon has received since its last report of this kind.

    Attributes:
        counts: Datagrams by sender.
        malformed: Number of datagrams that could not be read.
        late: How often the daemon's own timers were late.
    """

    kind: ClassVar[str] = "heartbeat.received"
    counts: Mapping[str, int]
    malformed: int
    late: int


@dataclass(frozen=True, kw_only=True)
class HeartbeatMissed(Event):
    """An observer did not get a heartbeat by its deadline.

    Attributes:
        peer: Node whose heartbeat is missed; None: not known, since all pass on corosync's token.
        seq: Number of the datagram that was expected; 0 where it has none.
        deadline: When the heartbeat had to be there, nanoseconds of CLOCK_MONOTONIC.
        tag: First eight bytes of the datagram that was expected, in hexadecimal; None: not known.
        probe: Tag of the probe that was not answered; None: not a probe.
        silent_ns: How long the peer was silent, nanoseconds, where the miss stands for a silence.
        cause: Why; only in a history that was judged before it is replayed (``replay-metrics``).
    """

    kind: ClassVar[str] = "heartbeat.miss"
    peer: str | None = None
    seq: int = 0
    deadline: int
    tag: str | None = None
    probe: str | None = None
    silent_ns: int | None = None
    cause: str | None = None


@dataclass(frozen=True, kw_only=True)
class HeartbeatLate(Event):
    """A heartbeat daemon woke late, and did late what was due.

    Attributes:
        late_ns: How late, nanoseconds.
    """

    kind: ClassVar[str] = "heartbeat.late"
    late_ns: int


@dataclass(frozen=True, kw_only=True)
class HeartbeatWarned(Event):
    """A detector warns of a peer that has been silent for long, but not too long.

    Attributes:
        peer: The node that is silent.
        silent_ns: How long the peer has been silent, nanoseconds.
    """

    kind: ClassVar[str] = "heartbeat.warn"
    peer: str
    silent_ns: int


@dataclass(frozen=True, kw_only=True)
class RingDown(Event):
    """A node does not hear a peer on one of several rings any more.

    Attributes:
        ring: Number of the ring.
        peer: The node that is not heard on the ring.
        since: When the peer was heard last, nanoseconds of CLOCK_MONOTONIC; None: not known.
    """

    kind: ClassVar[str] = "ring.down"
    ring: int
    peer: str
    since: int | None = None


@dataclass(frozen=True, kw_only=True)
class RingUp(Event):
    """A node hears a peer again on a ring where it did not.

    Attributes:
        ring: Number of the ring.
        peer: The node that is heard on the ring.
    """

    kind: ClassVar[str] = "ring.up"
    ring: int
    peer: str
