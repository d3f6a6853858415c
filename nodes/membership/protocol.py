"""Detector and membership of one node put together: datagrams and time in, effects out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nodes.membership.actions import Action, NewView, Standing
from nodes.membership.datagram import (
    MAX_NODES,
    TAG_BYTES,
    Kind,
    MalformedHeartbeat,
    decode,
    encode,
    tag_bytes,
)
from nodes.membership.detector import Clear, Detector, Finding, Message, Suspect
from nodes.membership.membership import Membership
from nodes.membership.roster import Roster
from nodes.membership.said import Said, said_of
from nodes.membership.views import Gossip

Effect = Finding | Action

_TOLD_AGAIN = 3
"""Intervals in which a change is told to every node: a datagram or two may be lost."""


class Datagram(NamedTuple):
    """A datagram to be sent to peers by name: its kind, its number and its bytes.

    Attributes:
        said: Where nodes hand on what they say without its bytes; ``payload`` is the tag alone.
    """

    to: tuple[str, ...]
    kind: Kind
    seq: int
    payload: bytes
    said: Said | None = None

    @property
    def tag(self) -> str:
        """The tag, in hex; see ``datagram``."""
        return (self.payload[:TAG_BYTES] if self.said is None else self.payload).hex()


class HeartbeatProtocol:
    """One node's part in the heartbeat protocol; membership and detector are fresh.

    From ``now_ns`` on the first view's members are watched.

    Args:
        roster: Of all nodes.
        membership: Of this node.
        detector: Of this node.
        now_ns: The present time.
        in_bytes: Whether datagrams have bytes; otherwise they are values (``Datagram.said``).
            ValueError where the roster has a node for which bytes have no room.
        settled: Whether all of the first view have been heard; see ``Cluster``.
    """

    def __init__(
        self,
        roster: Roster,
        membership: Membership,
        detector: Detector,
        now_ns: int,
        *,
        in_bytes: bool = True,
        settled: bool = False,
    ) -> None:
        if in_bytes:
            roster.must_fit()
        self._in_bytes = in_bytes
        self._wide = len(roster.order) > MAX_NODES
        self._roster = roster
        self.membership = membership
        self._detector = detector
        self._me = membership.me.name
        self._said: Gossip | None = None
        self._tell = 0  # intervals in which every node is still to be told
        if settled:
            detector.settle(self._me, roster.order, now_ns)
            self._said = self._news()
        else:
            self._watch(membership.view.names, now_ns)

    @property
    def rests(self) -> bool:
        """See ``HeartbeatNode.rests``."""
        told = self._tell <= 0 and self._said == self._news()
        return told and self._detector.rests and self.membership.rests

    def foresee(self) -> str | None:
        """See ``HeartbeatNode.foresee``."""
        return self._detector.foresee()

    def exchange(self, other: HeartbeatProtocol, now_ns: int) -> bool:
        """See ``HeartbeatNode.exchange``."""
        if self.membership.view is not other.membership.view:
            return False
        if not (self._detector.knows(other._me, other._detector.refuted)):
            return False
        if not (other._detector.knows(self._me, self._detector.refuted)):
            return False
        other._overhear(self, now_ns)
        self._overhear(other, now_ns)
        self._detector.pass_probe()
        return True

    def _overhear(self, other: HeartbeatProtocol, now_ns: int) -> None:
        """Take in what another node that rests says of the membership, if that is new."""
        gossip = other.membership.gossip()
        if not self.membership.has_heard(other._me, gossip):
            self.membership.heard(other._me, gossip, now_ns)

    def beat(self, seq: int, now_ns: int) -> None:
        """Begin interval number ``seq``; to be followed by ``outgoing``."""
        if self.membership.standing is not Standing.EJECTED:
            self._detector.beat(seq, now_ns, news=self._has_news())

    def outgoing(self, now_ns: int) -> list[Datagram]:
        """Return what is to be sent now, each datagram once; nothing where ejected."""
        messages = self._detector.outgoing()
        if not messages or self.membership.standing is Standing.EJECTED:
            return []
        return [self._datagram(to, message, now_ns) for to, message in messages]

    def _datagram(self, to: tuple[str, ...] | None, message: Message, now_ns: int) -> Datagram:
        boots = {one.peer: self._boot_of(one.peer) for one in message.updates}
        said = said_of(self._me, self.membership.gossip(), message, boots)
        receivers = self._audience() if to is None else to
        if self._in_bytes:
            payload = encode(self._roster.written(said, now_ns))
            return Datagram(receivers, message.kind, message.seq, payload)
        boot, index = self.membership.me.incarnation, self._roster.index_of(self._me)
        tag = tag_bytes(index, boot, message.seq, message.kind)
        return Datagram(receivers, message.kind, message.seq, tag, said)

    def _audience(self) -> tuple[str, ...]:
        """Return whom news is told: all others, or in a large cluster the coordinator they follow.

        The coordinator tells all what follows, and a newcomer does not know the coordinator yet.
        """
        if self._tells_all:
            return self._roster.order.others(self._me)
        return (str(self.membership.coordinator()),)

    @property
    def _tells_all(self) -> bool:
        return not self._wide or self.membership.coordinator() in (None, self._me)

    def _news(self) -> Gossip:
        """Return what others have to hear; that a majority holds the view the coordinator says."""
        gossip = self.membership.gossip()
        return gossip if self._tells_all else gossip._replace(held=False)

    def _boot_of(self, name: str) -> int | None:
        membership = self.membership
        if name == self._me:
            return membership.me.incarnation
        return membership.view.incarnations.get(name)

    def received(
        self, sender: str, payload: bytes, at_ns: int, said: Said | None = None
    ) -> list[Effect]:
        """Take in a datagram that arrived at ``at_ns`` from ``sender``'s address.

        ``said`` is what it says where it came as a value, and ``payload`` is not read then.

        Raises:
            MalformedHeartbeat: It is no datagram of this protocol, is another node's, or speaks of
                unknown nodes; nothing was changed.
        """
        if said is None:
            said = self._roster.said(decode(payload))
        if sender == self._me or said.sender != sender:
            raise MalformedHeartbeat(f"heartbeat of {said.sender!r} from {sender!r}")
        gossip = said.gossip
        boots = self.membership.view.incarnations
        message = said.heard_by(boots)
        findings: list[Finding] = []
        # Only the boot that is a member is watched; its next boot must join first. Every node gets
        # an answer to its probe: the answer carries the view that a former member has missed.
        if boots.get(sender) == gossip.incarnation:
            findings = self._detector.received(sender, message, at_ns)
            self._note(findings)
        elif message.kind is Kind.PING:
            self._detector.answer(sender, message)
        return [*findings, *self._follow(self.membership.heard(sender, gossip, at_ns), at_ns)]

    def advance(self, now_ns: int) -> list[Effect]:
        """Judge the silent peers, and retry what has waited too long."""
        findings = self._detector.advance(now_ns)
        self._note(findings)
        return [*findings, *self._follow(self.membership.tick(now_ns), now_ns)]

    def fence_answer(self, target: str, view: int, ok: bool, now_ns: int) -> list[Effect]:
        """See ``Membership.fence_answer``."""
        return self._follow(self.membership.fence_answer(target, view, ok, now_ns), now_ns)

    def next_deadline_ns(self) -> int | None:
        """Return when ``advance`` must be called at the latest; call it in every interval too."""
        return self._detector.next_deadline_ns()

    def _has_news(self) -> bool:
        """Return whether every node must hear what this node says of the membership.

        A suspicion counts only while it is repeated; a view needs a majority that holds it; and
        after a change other nodes must not go on believing what was said before.
        """
        membership = self.membership
        gossip = membership.gossip()
        if (news := self._news()) != self._said:
            self._said, self._tell = news, _TOLD_AGAIN
        told = self._tell <= 0
        self._tell -= 1
        joining = membership.standing is Standing.JOINING
        return not told or joining or bool(gossip.suspects) or not membership.held_by_majority

    def _note(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if isinstance(finding, Suspect):
                self.membership.suspect(finding.peer)
            elif isinstance(finding, Clear):
                self.membership.clear(finding.peer)

    def _follow(self, actions: Iterable[Action], now_ns: int) -> list[Effect]:
        effects: list[Effect] = []
        for action in actions:
            effects.append(action)
            if isinstance(action, NewView):
                member = self.membership.standing is Standing.MEMBER
                for peer in action.removed if member else self._roster.order:
                    self._detector.forget(peer)
                if member:
                    self._watch(action.added, now_ns)
        return effects

    def _watch(self, names: Iterable[str], now_ns: int) -> None:
        for name in names:
            if name != self._me:
                self._detector.watch(name, now_ns)
