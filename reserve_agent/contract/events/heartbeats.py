"""Heartbeats: sent, received, missed, late; and the rings that carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reserve_agent.contract.events.base import Event


class HeartbeatSent(Event, kind="heartbeat.sent"):
    """A daemon has sent one datagram to one or more peers.

    Attributes:
        seq: Number of the datagram, which counts the sender's intervals; None: corosync's packets.
        peers: Nodes that it was sent to; of corosync, and in a summary, the number of packets that
            were sent.
        tag: First eight bytes of the datagram, in hexadecimal.
        failed: Peers that the kernel refused to send to.
        what: Kind of a datagram that is no heartbeat: ``ping``, ``ack``, ``ping_req`` and so on.
    """

    seq: int | None = None
    peers: Sequence[str] | int
    tag: str | None = None
    failed: Sequence[str] | None = None
    what: str | None = None


class HeartbeatReceived(Event, kind="heartbeat.received"):
    """What a daemon has received since its last report of this kind.

    Attributes:
        counts: Datagrams by sender; of all senders together in a summary.
        malformed: Number of datagrams that could not be read.
        late: How often the daemon's own timers were late.
    """

    counts: Mapping[str, int] | int
    malformed: int
    late: int

    @property
    def total(self) -> int:
        """Datagrams of all senders."""
        return self.counts if isinstance(self.counts, int) else sum(self.counts.values())


class HeartbeatMissed(Event, kind="heartbeat.miss"):
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

    peer: str | None = None
    seq: int = 0
    deadline: int
    tag: str | None = None
    probe: str | None = None
    silent_ns: int | None = None
    cause: str | None = None


class HeartbeatLate(Event, kind="heartbeat.late"):
    """A heartbeat daemon woke late, and did late what was due.

    Attributes:
        late_ns: How late, nanoseconds.
    """

    late_ns: int


class HeartbeatWarned(Event, kind="heartbeat.warn"):
    """A detector warns of a peer that has been silent for long, but not too long.

    Attributes:
        peer: The node that is silent.
        silent_ns: How long the peer has been silent, nanoseconds.
    """

    peer: str
    silent_ns: int


class RingDown(Event, kind="ring.down"):
    """A node does not hear a peer on one of several rings any more.

    Attributes:
        ring: Number of the ring.
        peer: The node that is not heard on the ring.
        since: When the peer was heard last, nanoseconds of CLOCK_MONOTONIC; None: not known.
    """

    ring: int
    peer: str
    since: int | None = None


class RingUp(Event, kind="ring.up"):
    """A node hears a peer again on a ring where it did not.

    Attributes:
        ring: Number of the ring.
        peer: The node that is heard on the ring.
    """

    ring: int
    peer: str
