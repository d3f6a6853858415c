"""SWIM: probing one peer at a time.

Das, Gupta, Motivala: "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
Protocol", DSN 2002.

One peer is probed in each period. It is sent a ping. If its ack does not come in time, k other
nodes are asked to ping it. If no ack has come by the end of the period either, the peer is
suspected. The suspicion spreads as a rumour, as a part of other messages. The suspected peer
refutes it by raising its own number. If it has not by the time the suspicion expires, it is taken
for dead, and that spreads too.

Two things differ from the paper because the membership here ejects by majority and fence. A peer
that is taken for dead stays a member until it is fenced, and may still refute its death, as in
memberlist; it does so in a message to all. And a node with news for the membership sends its gossip
to every node.
"""

from __future__ import annotations

import random

from nodes.membership.datagram import Kind
from nodes.membership.detector import Finding, Message, Miss, Outgoing, State, Update
from nodes.membership.detectors.beliefs import Beliefs
from nodes.membership.detectors.known import Draws, Probe, Relay, Rounds
from nodes.membership.detectors.settings import SwimSettings
from nodes.membership.order import Order

_RELAYED = 1 << 31  # least number of a ping on behalf of another node; intervals stay below it


class Swim(Beliefs):
    """One node's part in SWIM; see ``Detector``.

    A newly watched peer may take ``grace_ns`` until it is first heard. ``chance`` draws the order
    of probing and the helpers.
    """

    def __init__(
        self, me: str, settings: SwimSettings, grace_ns: int, chance: random.Random
    ) -> None:
        super().__init__(me, settings)
        self._grace_ns = grace_ns
        self._random = chance
        self._rounds: Rounds | Draws = Rounds(chance)
        self._probe: Probe | None = None
        self._relays: dict[int, Relay] = {}
        self._relay_number = _RELAYED
        self._out: list[Outgoing] = []
        self._foreseen: str | None = None

    def watch(self, peer: str, now_ns: int) -> None:
        """See ``Detector.watch``."""
        super().watch(peer, now_ns)
        self._rounds.insert(peer, self._peers)

    def settle(self, me: str, order: Order, now_ns: int) -> None:
        """See ``Detector.settle``."""
        super().settle(me, order, now_ns)
        self._rounds = Draws(self._random)

    def forget(self, peer: str) -> None:
        """See ``Detector.forget``."""
        super().forget(peer)
        if self._probe is not None and self._probe.target == peer:
            self._probe = None

    # --- what is sent

    def outgoing(self) -> list[Outgoing]:
        """See ``Detector.outgoing``."""
        out, self._out = self._out, []
        return out

    def beat(self, seq: int, now_ns: int, *, news: bool) -> None:
        """See ``Detector.beat``: one period ends and the next one begins."""
        if news:
            self._say(Kind.GOSSIP, None, seq)
        probe = self._probe
        if probe is not None and now_ns < probe.ends_ns:
            healthy = self._slowness == 1
            if not (healthy and probe.answered):  # a probe that began late has its full time too
                return
        self._close(now_ns)
        target, self._foreseen = self._foreseen, None
        if target is None or not self._peers.is_not_dead(target):
            target = self._rounds.next(self._peers)
        if target is not None:
            # Half a period less: the next period may begin a little early by this clock.
            period_ns = self._settings.protocol_period_ns
            ends_ns = now_ns + self._slowness * period_ns - period_ns // 2
            timeout_ns = self._slowness * self._settings.ping_timeout_ns
            known = self._peers[target]
            in_grace = not known.heard and now_ns < known.watched_ns + self._grace_ns
            self._probe = Probe(target, seq, now_ns + timeout_ns, ends_ns, in_grace)
            self._say(Kind.PING, target, seq)

    @property
    def _slowness(self) -> int:
        """How many times longer than set this node's periods and timeouts are."""
        return 1

    def _protest(self) -> None:
        """Tell everybody: the votes for its fence do not wait until a rumour has gone round."""
        self._say(Kind.GOSSIP, None, 0)

    def _say(self, kind: Kind, to: str | None, seq: int, about: str | None = None) -> None:
        updates = self._updates_for(to)
        message = Message(kind, seq, about, self._refuted, updates)
        self._out.append(Outgoing(None if to is None else (to,), message))

    # --- what is calm

    @property
    def rests(self) -> bool:
        """See ``Detector.rests``."""
        probe = self._probe
        return (
            (probe is None or probe.answered)
            and not self._out
            and not self._relays
            and not len(self._rumours)
            and self._slowness == 1
            and self._peers.all_fit
        )

    @property
    def refuted(self) -> int:
        """See ``Detector.refuted``."""
        return self._refuted

    def foresee(self) -> str | None:
        """See ``Detector.foresee``."""
        if self._foreseen is None:
            self._foreseen = self._rounds.next(self._peers)
        return self._foreseen

    def knows(self, peer: str, refuted: int) -> bool:
        """See ``Detector.knows``."""
        known = self._peers.get(peer)
        return known is not None and known.heard and not known.failed and known.refuted >= refuted

    def pass_probe(self) -> None:
        """See ``Detector.pass_probe``: an answered probe and none are the same at the next beat."""
        self._foreseen = self._probe = None

    # --- what is heard

    def received(self, peer: str, message: Message, at_ns: int) -> list[Finding]:
        """See ``Detector.received``."""
        known = self._peers.get(peer)
        if known is None:
            return []
        findings = self.advance(at_ns)  # what was due before it arrived is judged without it
        if not known.heard:
            self._peers.own(peer).heard = True
        if message.refuted > known.refuted:
            findings += self._apply(Update(peer, State.ALIVE, message.refuted), at_ns)
        for update in message.updates:
            findings += self._apply(update, at_ns)
        match message.kind:
            case Kind.PING:
                self.answer(peer, message)
            case Kind.PING_REQ if message.about in self._peers:
                self._relay(peer, message.seq, str(message.about), at_ns)
            case Kind.ACK:
                self._acked(peer, message)
            case Kind.NACK if self._probe is not None and self._probe.seq == message.seq:
                self._probe.nacks.add(peer)
            case _:
                pass
        return findings

    def answer(self, sender: str, message: Message) -> None:
        """See ``Detector.answer``."""
        self._say(Kind.ACK, sender, message.seq, self._me)

    def _relay(self, requester: str, seq: int, target: str, at_ns: int) -> None:
        self._relay_number = _RELAYED | (self._relay_number + 1) % _RELAYED
        expires_ns = at_ns + self._settings.protocol_period_ns
        self._relays[self._relay_number] = Relay(
            requester, seq, target, self._nack_ns(at_ns), expires_ns
        )
        self._say(Kind.PING, target, self._relay_number)

    def _nack_ns(self, _at_ns: int) -> int | None:
        return None

    def _acked(self, peer: str, message: Message) -> None:
        relay = self._relays.get(message.seq)
        if relay is not None and relay.target == peer:
            del self._relays[message.seq]
            self._say(Kind.ACK, relay.requester, relay.seq, relay.target)
            return
        probe = self._probe
        if probe is not None and (probe.seq, probe.target) == (message.seq, message.about):
            probe.answered = True
            known = self._peers.get(probe.target)
            if known is not None and known.failed:
                self._peers.own(probe.target).failed = 0

    # --- what is judged

    def advance(self, now_ns: int) -> list[Finding]:
        """See ``Detector.advance``."""
        findings: list[Finding] = []
        probe = self._probe
        if probe is not None and _waiting(probe) and probe.deadline_ns < now_ns:
            self._miss(probe, findings)
        findings += self._expired(now_ns)
        if self._relays:
            for number in [n for n, relay in self._relays.items() if relay.next_ns < now_ns]:
                self._late_relay(number, now_ns)
        return findings

    def next_deadline_ns(self) -> int | None:
        """See ``Detector.next_deadline_ns``."""
        first_ns = self._suspected.next_ns()
        for relay in self._relays.values():
            first_ns = relay.next_ns if first_ns is None else min(first_ns, relay.next_ns)
        probe = self._probe
        if probe is not None and _waiting(probe):
            return probe.deadline_ns if first_ns is None else min(first_ns, probe.deadline_ns)
        return first_ns

    def _miss(self, probe: Probe, findings: list[Finding]) -> None:
        probe.missed = True
        if probe.in_grace:
            return
        findings.append(Miss(probe.target, probe.seq, probe.deadline_ns, probed=True))
        others = self._peers.fit_but(probe.target)
        helpers = self._random.sample(others, min(len(others), self._settings.ping_req_nodes))
        probe.helpers = len(helpers)
        for helper in helpers:
            self._say(Kind.PING_REQ, helper, probe.seq, probe.target)

    def _close(self, now_ns: int) -> None:
        """End the period: a probe that no node answered makes a suspicion."""
        probe, self._probe = self._probe, None
        if probe is None or probe.in_grace:
            return
        self._judge(probe)
        if probe.answered or not probe.missed:
            return
        known = self._peers.own(probe.target)
        known.failed += 1
        self._apply(Update(probe.target, State.SUSPECT, known.refuted, self._me), now_ns)

    def _judge(self, probe: Probe) -> None:
        """Learn from the end of a probe about this node's own health; SWIM does not."""

    def _late_relay(self, number: int, now_ns: int) -> None:
        if self._relays[number].expires_ns < now_ns:
            del self._relays[number]


def _waiting(probe: Probe) -> bool:
    return not probe.missed and not probe.answered
