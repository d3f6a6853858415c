"""Heartbeats: sent, received, missed, late; and the rings that they go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from reserve_agent.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class HeartbeatSent(Event):
    """A daemon has sent one datagram to one or more peers.

    Attributes:
        seq: Its number, which counts the sender's intervals; None for corosync's packets.
        peers: Whom it was sent to; corosync tells how many packets it sent in all.
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
        malformed: Datagrams that nobody could read.
        late: Times at which the daemon's own timers were late.
    """

    kind: ClassVar[str] = "heartbeat.received"
    counts: Mapping[str, int]
    malformed: int
    late: int


@dataclass(frozen=True, kw_only=True)
class HeartbeatMissed(Event):
    """An observer did not get a heartbeat by its deadline.

    Attributes:
        peer: Whose; None where nobody knows, since corosync's token is passed on by all.
        seq: Number of the datagram that was expected; 0 where it has none.
        deadline: By when, nanoseconds of CLOCK_MONOTONIC.
        tag: First eight bytes of the datagram that was expected, in hexadecimal; None: not known.
        probe: Tag of the probe that was not answered, where a probe was.
        silent_ns: How long nothing was heard, where the miss stands for a silence.
        cause: Why, where the history was judged before it is shown again (``replay-metrics``).
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
    """A heartbeat daemon did not get to what was due on time.

    Attributes:
        late_ns: By how much, nanoseconds.
    """

    kind: ClassVar[str] = "heartbeat.late"
    late_ns: int


@dataclass(frozen=True, kw_only=True)
class HeartbeatWarned(Event):
    """A detector warns of a peer that has been silent for long, but not too long.

    Attributes:
        peer: Who is silent.
        silent_ns: For how long, nanoseconds.
    """

    kind: ClassVar[str] = "heartbeat.warn"
    peer: str
    silent_ns: int


@dataclass(frozen=True, kw_only=True)
class RingDown(Event):
    """A node does not hear a peer on one of several rings any more.

    Attributes:
        ring: Number of the ring.
        peer: Who is not heard there.
        since: When it was heard last, nanoseconds of CLOCK_MONOTONIC; None: not known.
    """

    kind: ClassVar[str] = "ring.down"
    ring: int
    peer: str
    since: int | None = None


@dataclass(frozen=True, kw_only=True)
class RingUp(Event):
    """A node hears a peer on that ring again.

    Attributes:
        ring: Number of the ring.
        peer: Who is heard there.
    """

    kind: ClassVar[str] = "ring.up"
    ring: int
    peer: str
