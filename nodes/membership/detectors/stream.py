"""The common part of detectors that wait for a stream of heartbeats from every peer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from heapq import heappop, heappush

from nodes.membership.datagram import Kind
from nodes.membership.detector import Clear, Finding, Message, Miss, Outgoing, Suspect, Warn
from nodes.membership.order import Order

_NOWHERE = (1 << 63, 0)


@dataclass(slots=True)
class Watched:
    """What is known of one peer's stream; times in nanoseconds.

    Attributes:
        deadline_ns: When the next heartbeat is missed.
        suspect_ns: When the peer is suspected.
        warn_ns: When there is a warning; None: never, or there has been one.
        last_ns: Last arrival; before the first one, when watching began.
        last_seq: Number of the last heartbeat; 0 before the first.
        misses: Misses in a row.
        place: Where it stands in the order in which watching began.
        queued: The entry of the detector's queue that stands for it: its time and its number.
    """

    peer: str
    place: int
    deadline_ns: int = 0
    suspect_ns: int = 0
    warn_ns: int | None = None
    last_ns: int = 0
    last_seq: int = 0
    misses: int = 0
    suspected: bool = False
    queued: tuple[int, int] = _NOWHERE

    @property
    def next_ns(self) -> int:
        """The earliest time at which there is a finding if nothing arrives."""
        due = self.deadline_ns
        if not self.suspected:
            due = min(due, self.suspect_ns)
        return due if self.warn_ns is None else min(due, self.warn_ns)


class StreamDetector(ABC):
    """Counts misses in each peer's stream; its subclass says when silence is a suspicion.

    After an arrival the next heartbeat is due one interval later, and missed half an interval after
    that; every further interval of silence is another miss. A heartbeat that comes after its
    deadline shows that the peer lives, but it remains missed.

    Args:
        interval_ns: The time between two heartbeats of one peer.
        grace_ns: How long a newly watched peer may take until it is first heard.
    """

    def __init__(self, interval_ns: int, grace_ns: int) -> None:
        self._interval_ns = interval_ns
        self._patience_ns = interval_ns + interval_ns // 2
        self._grace_ns = grace_ns
        self._peers: dict[str, Watched] = {}
        self._out: list[Outgoing] = []
        self._places = 0
        # Never later than the next deadline. Most arrivals postpone a deadline, so this is updated
        # when it has passed, and not with every heartbeat. For the same reason a peer is in the
        # queue under a time that may be earlier than its next deadline.
        self._earliest_ns: int | None = None
        self._queue: list[tuple[int, int, Watched]] = []
        self._entries = 0

    @abstractmethod
    def _arrived(self, watched: Watched, at_ns: int) -> None:
        """A heartbeat came: set ``suspect_ns`` and ``warn_ns``; ``last_ns`` is the one before."""

    @abstractmethod
    def _unheard(self, watched: Watched) -> None:
        """Watching begins: set ``suspect_ns``; ``deadline_ns`` is set."""

    def watch(self, peer: str, now_ns: int) -> None:
        """See ``Detector.watch``."""
        self._places += 1
        before, place = self._peers.get(peer), self._places
        if before is not None:
            before.queued, place = _NOWHERE, before.place
        watched = self._peers[peer] = Watched(peer, place, last_ns=now_ns)
        watched.deadline_ns = now_ns + max(self._grace_ns, self._patience_ns)
        self._unheard(watched)
        self._expect(watched)

    def settle(self, me: str, order: Order, now_ns: int) -> None:
        """See ``Detector.settle``: the next heartbeat of each may take the time of grace."""
        for peer in order.others(me):
            self.watch(peer, now_ns)

    def forget(self, peer: str) -> None:
        """See ``Detector.forget``."""
        watched = self._peers.pop(peer, None)
        if watched is not None:
            watched.queued = _NOWHERE
        if not self._peers:
            self._earliest_ns = None

    def received(self, peer: str, message: Message, at_ns: int) -> list[Finding]:
        """See ``Detector.received``; only heartbeats count."""
        return self.heartbeat(peer, message.seq, at_ns) if message.kind is Kind.HEARTBEAT else []

    def answer(self, sender: str, message: Message) -> None:  # noqa: B027 - nothing to do
        """See ``Detector.answer``: a detector that waits for heartbeats answers nothing."""

    def heartbeat(self, peer: str, seq: int, at_ns: int) -> list[Finding]:
        """Take in heartbeat ``seq`` of ``peer``; one not newer than the last is ignored."""
        watched = self._peers.get(peer)
        if watched is None or seq <= watched.last_seq:
            return []
        findings: list[Finding] = []
        if watched.next_ns < at_ns:
            self._expire(watched, at_ns, findings)
        if watched.suspected:
            findings.append(Clear(peer, at_ns))
        self._arrived(watched, at_ns)
        watched.last_seq, watched.last_ns = seq, at_ns
        watched.misses = 0
        watched.suspected = False
        watched.deadline_ns = at_ns + self._patience_ns
        self._expect(watched)
        return findings

    def advance(self, now_ns: int) -> list[Finding]:
        """See ``Detector.advance``."""
        if self._earliest_ns is None or now_ns <= self._earliest_ns:
            return []
        findings: list[Finding] = []
        for watched in sorted(self._overdue(now_ns), key=lambda watched: watched.place):
            self._expire(watched, now_ns, findings)
            self._enqueue(watched, watched.next_ns)
        self._earliest_ns = self._first_ns()
        return findings

    def _overdue(self, now_ns: int) -> list[Watched]:
        """Return the peers whose next deadlines have passed, which leave the queue."""
        found = []
        while (first_ns := self._first_ns()) is not None and first_ns < now_ns:
            found.append(heappop(self._queue)[-1])
        return found

    def _first_ns(self) -> int | None:
        """Return the next deadline of all, and bring the head of the queue up to date."""
        while self._queue:
            at_ns, entry, watched = self._queue[0]
            if watched.queued == (at_ns, entry) and at_ns == watched.next_ns:
                return at_ns
            heappop(self._queue)
            if watched.queued == (at_ns, entry):
                self._enqueue(watched, watched.next_ns)
        return None

    def _enqueue(self, watched: Watched, at_ns: int) -> None:
        self._entries += 1
        watched.queued = at_ns, self._entries
        heappush(self._queue, (at_ns, self._entries, watched))

    def beat(self, seq: int, now_ns: int, *, news: bool) -> None:  # noqa: ARG002
        """See ``Detector.beat``: a heartbeat to every node, with news or without."""
        self._out.append(Outgoing(None, Message(Kind.HEARTBEAT, seq)))

    rests = False
    refuted = 0

    def foresee(self) -> str | None:
        """See ``Detector.foresee``: nobody is probed."""
        return None

    def knows(self, peer: str, refuted: int) -> bool:  # noqa: ARG002 - a protocol
        """See ``Detector.knows``."""
        return False

    def pass_probe(self) -> None:  # noqa: B027 - nothing to do
        """See ``Detector.pass_probe``."""

    def outgoing(self) -> list[Outgoing]:
        """See ``Detector.outgoing``."""
        out, self._out = self._out, []
        return out

    def next_deadline_ns(self) -> int | None:
        """See ``Detector.next_deadline_ns``; may be early, never late."""
        return self._earliest_ns

    def _expect(self, watched: Watched) -> None:
        due = watched.next_ns
        if self._earliest_ns is None or due < self._earliest_ns:
            self._earliest_ns = due
        if due < watched.queued[0]:
            self._enqueue(watched, due)

    def _expire(self, watched: Watched, now_ns: int, findings: list[Finding]) -> None:
        peer = watched.peer
        while (due := watched.next_ns) < now_ns:
            if watched.warn_ns == due:
                findings.append(Warn(peer, due - watched.last_ns, due))
                watched.warn_ns = None
            elif watched.deadline_ns == due:  # before a suspicion of the same moment
                watched.misses += 1
                # After k misses since seq s was heard, the next one missed is s + k + 1.
                expected = watched.last_seq + watched.misses if watched.last_seq else 0
                findings.append(Miss(peer, expected, due))
                watched.deadline_ns += self._interval_ns
            else:
                watched.suspected = True
                findings.append(Suspect(peer, watched.misses, due))
