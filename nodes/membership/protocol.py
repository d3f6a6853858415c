"""Detector and membership of one node put together: datagrams and time in, effects out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nodes.membership.actions import Action, NewView, Standing
from nodes.membership.datagram import Kind, MalformedHeartbeat, decode, encode
from nodes.membership.detector import Clear, Detector, Finding, Suspect
from nodes.membership.membership import Membership
from nodes.membership.roster import Roster
from nodes.membership.views import Gossip

Effect = Finding | Action

_TOLD_AGAIN = 3
"""Intervals in which a change is told to every node: a datagram or two may be lost."""


class Datagram(NamedTuple):
    """A datagram to be sent to peers by name: its kind, its number and its bytes."""

    to: tuple[str, ...]
    kind: Kind
    seq: int
    payload: bytes


class HeartbeatProtocol:
    """One node's part in the heartbeat protocol; membership and detector are fresh.

    From ``now_ns`` on the first view's members are watched.
    """

    def __init__(
        self, roster: Roster, membership: Membership, detector: Detector, now_ns: int
    ) -> None:
        self._roster = roster
        self.membership = membership
        self._detector = detector
        self._me = membership.me.name
        self._others = tuple(name for name in roster.order if name != self._me)
        self._said: Gossip | None = None
        self._tell = 0  # intervals in which every node is still to be told
        self._watch(membership.view.names, now_ns)

    def beat(self, seq: int, now_ns: int) -> None:
        """Begin interval number ``seq``; to be followed by ``outgoing``."""
        if self.membership.standing is not Standing.EJECTED:
            self._detector.beat(seq, now_ns, news=self._has_news())

    def outgoing(self, now_ns: int) -> list[Datagram]:
        """Return what is to be sent now, each datagram once; nothing where ejected."""
        messages = self._detector.outgoing()
        if not messages or self.membership.standing is Standing.EJECTED:
            return []
        gossip = self.membership.gossip()
        boots = {**self.membership.view.incarnations, self._me: self.membership.me.incarnation}
        return [
            Datagram(
                self._others if to is None else to,
                message.kind,
                message.seq,
                encode(self._roster.datagram(self._me, now_ns, gossip, message, boots)),
            )
            for to, message in messages
        ]

    def received(self, sender: str, payload: bytes, at_ns: int) -> list[Effect]:
        """Take in a datagram that arrived at ``at_ns`` from ``sender``'s address.

        Raises:
            MalformedHeartbeat: It is no datagram of this protocol, is another node's, or speaks of
                unknown nodes; nothing was changed.
        """
        heartbeat = decode(payload)
        if sender == self._me or self._roster.name_of(heartbeat.sender) != sender:
            raise MalformedHeartbeat(f"heartbeat of index {heartbeat.sender} from {sender!r}")
        gossip = self._roster.gossip(heartbeat)
        boots = self.membership.view.incarnations
        message = self._roster.message(heartbeat, boots)
        findings: list[Finding] = []
        # Only the boot that is a member is watched; its next boot must join first. Every node gets
        # an answer to its probe: the answer carries the view that a former member has missed.
        if boots.get(sender) == heartbeat.incarnation:
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
        if gossip != self._said:
            self._said, self._tell = gossip, _TOLD_AGAIN
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
