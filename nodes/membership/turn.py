"""One node's heartbeats and membership, turn by turn: what it sends, reports and has fenced.

No clock and no socket: whoever drives it passes the time and the datagrams that have arrived, and
sends what it returns. The heartbeat daemon drives it with a node's clock and sockets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nodes.membership.actions import FenceRequest, NewView, Standing
from nodes.membership.cluster import Cluster
from nodes.membership.datagram import MAX_NODES, Kind, MalformedHeartbeat, size_of, tag_of
from nodes.membership.detector import Clear, Miss, Suspect, Warn
from nodes.membership.fences import FenceAnswer
from nodes.membership.made import protocol_of
from nodes.membership.membership import Membership
from nodes.membership.protocol import Datagram, Effect
from nodes.membership.rings import Arrival, RingMerger
from nodes.membership.roster import Roster
from nodes.membership.settings import HeartbeatSettings
from nodes.membership.views import View
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
    HeartbeatWarned,
)
from reserve_agent.contract.events.membership import (
    FenceRequested,
    MembershipCleared,
    MembershipSuspected,
    ViewInstalled,
)
from reserve_agent.contract.events.run import DaemonReady

REPORT_NS = 1_000_000_000
"""Time between two reports of what was received."""
_NEVER_NS = 1 << 63
_PING = bytes([Kind.PING])


@dataclass(slots=True)
class Turn:
    """What follows from one turn.

    Attributes:
        events: To be reported, with their times.
        fences: Requests to the fence service; its answers are passed to a later turn.
        datagrams: To be sent on every ring; ``sent`` is the event that reports each.
    """

    events: list[Event] = field(default_factory=list)
    fences: list[FenceRequest] = field(default_factory=list)
    datagrams: list[Datagram] = field(default_factory=list)


def sent(datagram: Datagram, at_ns: int, to: Sequence[str], failed: Sequence[str]) -> HeartbeatSent:
    """Return the event that reports a datagram, which could not be sent to the peers ``failed``.

    Of many receivers it has the number.
    """
    return HeartbeatSent(
        t=at_ns,
        seq=datagram.seq,
        peers=to if len(to) <= MAX_NODES else len(to),
        tag=datagram.tag,
        failed=failed or None,
        what=None if datagram.kind is Kind.HEARTBEAT else datagram.kind.name.lower(),
    )


class HeartbeatNode:
    """One node from its boot to its end; every time is nanoseconds of one clock.

    In a ``cluster`` of one process, datagrams are values, and ``settings.peers`` is not read. A
    cluster without one has at most as many nodes as a datagram has room for, or ValueError.

    Sequence numbers count intervals, whether a heartbeat was sent in them or not: a heartbeat that
    was due while the node was held up leaves a gap, and the observer's miss names a number that
    was never sent.
    """

    def __init__(
        self, settings: HeartbeatSettings, now_ns: int, cluster: Cluster | None = None
    ) -> None:
        self._settings = settings
        self._lateness_ns = settings.lateness_ns
        self._roster = Roster(settings.indexes) if cluster is None else cluster.roster
        self._protocol = protocol_of(settings, now_ns, self._roster, cluster)
        self._rings = RingMerger(settings.rings, settings.misses)
        self._next_beat_ns = _next_slot(now_ns, settings.phase_ns, settings.interval_ns)
        self._next_report_ns = now_ns + REPORT_NS if settings.reports else _NEVER_NS
        self._seq = 1
        self._received: Counter[str] = Counter()  # by sender, or of all where nobody reports
        self._malformed = 0
        self._late = 0
        self._turn = Turn()
        self._quorate = True

    @property
    def membership(self) -> Membership:
        """The node's membership, to be read."""
        return self._protocol.membership

    def started(self, now_ns: int) -> list[Event]:
        """Return what is to be reported before the first turn."""
        view = self.membership.view
        installed: list[Event] = [_installed(now_ns, view, (), view.names)] if view.number else []
        return [*installed, DaemonReady(t=now_ns, name="heartbeat")]

    def next_turn_ns(self) -> int:
        """When the next turn is due, if nothing arrives before."""
        deadline_ns = self._protocol.next_deadline_ns()
        timers = min(self._next_beat_ns, self._next_report_ns)
        # A deadline has passed once the clock is beyond it.
        return timers if deadline_ns is None else min(timers, deadline_ns + 1)

    def turn(
        self, now_ns: int, arrivals: Iterable[Arrival] = (), answers: Iterable[FenceAnswer] = ()
    ) -> Turn:
        """Take in what has arrived, judge, and say what follows.

        ``arrivals`` are all datagrams that had arrived by ``now_ns``: judged without them, a peer
        would seem silent that is not. ``answers`` are the fence service's.
        """
        turn = self._turn = Turn()
        self._note_late(now_ns, now_ns - self.next_turn_ns())
        self._receive(now_ns, arrivals)
        for answer in answers:
            effects = self._protocol.fence_answer(answer.target, answer.view, answer.ok, now_ns)
            self._follow(effects, now_ns)
        deadline_ns = self._protocol.next_deadline_ns()
        due_to_beat = now_ns >= self._next_beat_ns
        if due_to_beat or (deadline_ns is not None and deadline_ns < now_ns):
            self._follow(self._protocol.advance(now_ns), now_ns)
        if due_to_beat:
            self._beat(now_ns)
        self._tell_quorum(now_ns)
        turn.datagrams += self._protocol.outgoing(now_ns)
        if now_ns >= self._next_report_ns:
            self._report_received(now_ns)
        return turn

    @property
    def rests(self) -> bool:
        """Whether the next turn is a probe, and this node is as before once that is answered.

        The same holds for an answer to the probe of another node that rests.
        """
        return self._quorate and self._protocol.rests

    def foresee(self) -> str | None:
        """Return whom this node, which rests, will probe at its next turn."""
        return self._protocol.foresee()

    def exchange(self, other: HeartbeatNode, now_ns: int) -> bool:
        """Take the turn that is due, at which ``other`` is probed and answers; both rest.

        False, and nothing has happened, where one of them would learn something of the other.
        """
        if not self._protocol.exchange(other._protocol, now_ns):
            return False
        self._seq += 1
        self._next_beat_ns += self._settings.interval_ns
        return True

    @property
    def calm_bytes(self) -> int:
        """Bytes of a probe, or an answer, of a node that rests."""
        return size_of(Kind.PING, len(self.membership.view.members), 0)

    def received(self, now_ns: int, more: int) -> HeartbeatReceived:
        """Return the report of all that was received, and of ``more`` in exchanges."""
        return HeartbeatReceived(
            t=now_ns,
            counts=self._received.total() + more,
            malformed=self._malformed,
            late=self._late,
        )

    def _tell_quorum(self, now_ns: int) -> None:
        """Tell the view again where this node has lost its majority, or has it again."""
        membership = self.membership
        if not self._settings.tells_quorum or membership.standing is not Standing.MEMBER:
            return
        if membership.quorate != self._quorate:
            self._quorate = membership.quorate
            told = _installed(now_ns, membership.view, (), (), quorate=self._quorate)
            self._turn.events.append(told)

    def _note_late(self, now_ns: int, late_ns: int) -> None:
        if late_ns > self._lateness_ns:
            self._late += 1
            self._turn.events.append(HeartbeatLate(t=now_ns, late_ns=late_ns))

    def _receive(self, now_ns: int, arrivals: Iterable[Arrival]) -> None:
        ping_waited_ns = 0
        for arrival in self._rings.merge(arrivals):
            if arrival.payload[:1] == _PING:
                ping_waited_ns = max(ping_waited_ns, now_ns - arrival.at_ns)
            try:
                effects = self._protocol.received(
                    arrival.name, arrival.payload, arrival.at_ns, arrival.said
                )
            except MalformedHeartbeat:
                self._malformed += 1
                continue
            self._received[arrival.name if self._settings.reports else ""] += 1
            if effects:
                self._follow(effects, now_ns)
        self._turn.events += self._rings.changes(now_ns)
        self._note_late(now_ns, ping_waited_ns)  # the sender of that ping waits for its answer

    def _beat(self, now_ns: int) -> None:
        interval_ns = self._settings.interval_ns
        missed_slots = (now_ns - self._next_beat_ns) // interval_ns
        self._seq += missed_slots
        self._protocol.beat(self._seq, now_ns)
        self._seq += 1
        self._next_beat_ns += (missed_slots + 1) * interval_ns

    def _report_received(self, now_ns: int) -> None:
        counts = dict(self._received)
        self._turn.events.append(
            HeartbeatReceived(t=now_ns, counts=counts, malformed=self._malformed, late=self._late)
        )
        self._received.clear()
        self._malformed = self._late = 0
        self._next_report_ns = now_ns + REPORT_NS

    def _follow(self, effects: Iterable[Effect], now_ns: int) -> None:
        for effect in effects:
            self._turn.events.append(self._event(effect, now_ns))
            if isinstance(effect, NewView):
                self._quorate = True  # as it was told
            if isinstance(effect, FenceRequest):
                self._turn.fences.append(effect)

    def _event(self, effect: Effect, now_ns: int) -> Event:
        match effect:
            case Miss():
                return self._missed(effect, now_ns)
            case Suspect(peer, misses, _):
                return MembershipSuspected(t=now_ns, peer=peer, misses=misses)
            case Warn(peer, silent_ns, _):
                return HeartbeatWarned(t=now_ns, peer=peer, silent_ns=silent_ns)
            case Clear(peer, _):
                return MembershipCleared(t=now_ns, peer=peer)
            case NewView(view, removed, added):
                return _installed(now_ns, view, removed, added)
            case FenceRequest(target, number):
                return FenceRequested(t=now_ns, target=target, view=number)

    def _missed(self, miss: Miss, now_ns: int) -> HeartbeatMissed:
        peer, seq, tag, probe = miss.peer, miss.expected_seq, None, None
        incarnation = self.membership.view.incarnations.get(peer)
        if seq and incarnation is not None:
            kind = Kind.ACK if miss.probed else Kind.HEARTBEAT
            tag = tag_of(self._roster.index_of(peer), incarnation, seq, kind)
        if miss.probed:
            me = self.membership.me
            probe = tag_of(self._settings.index, me.incarnation, seq, Kind.PING)
        return HeartbeatMissed(
            t=now_ns, peer=peer, seq=seq, deadline=miss.deadline_ns, tag=tag, probe=probe
        )


def _installed(
    now_ns: int,
    view: View,
    removed: Sequence[str],
    added: Sequence[str],
    *,
    quorate: bool = True,
) -> ViewInstalled:
    many = len(view.members) > MAX_NODES  # of each node, they would be most of the history
    return ViewInstalled(
        t=now_ns,
        number=view.number,
        members=len(view.members) if many else view.names,
        removed=removed,
        added=() if many and view.number == 1 else added,
        quorate=quorate,
    )


def _next_slot(now_ns: int, phase_ns: int, interval_ns: int) -> int:
    # Counted from the clock's zero, so that the phases of nodes on one machine stay apart.
    return now_ns + interval_ns - (now_ns - phase_ns) % interval_ns
