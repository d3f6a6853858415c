"""SWIM with Lifeguard, by the names of HashiCorp's memberlist.

Dadgar, Phillips, Currey: "Lifeguard: Local Health Awareness for More Accurate Failure Detection",
DSN workshops 2018.

A node that is slow itself takes its peers for dead. So every node watches its own health: a probe
that fails, a helper that did not even report that it got no answer (a nack), and a suspicion that
the node has to refute each count against it, and the node probes and waits more slowly accordingly.
A suspicion lasts long while few nodes share it, and shorter the more do. A suspected peer is told
so at once, with the next ping to it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from nodes.membership.datagram import Kind
from nodes.membership.detector import Finding, Message, Update
from nodes.membership.detectors.known import Probe
from nodes.membership.detectors.settings import LifeguardSettings
from nodes.membership.detectors.swim import Swim

_NACK_SHARE = 0.8  # of the probe's timeout, after which a helper sends a nack (section IV-A)


class Lifeguard(Swim):
    """One node's part in SWIM with Lifeguard; arguments as of ``Swim``."""

    def __init__(
        self, me: str, settings: LifeguardSettings, grace_ns: int, chance: random.Random
    ) -> None:
        super().__init__(me, settings.as_swim(), grace_ns, chance)
        self._more = settings
        self._next_gossip_ns: int | None = None
        self.health = 0
        """The local health multiplier minus one: 0 is healthy."""

    def advance(self, now_ns: int) -> list[Finding]:
        """See ``Detector.advance``; sends gossip as well."""
        findings = super().advance(now_ns)
        if not len(self._rumours):
            self._next_gossip_ns = None
        elif self._next_gossip_ns is None:
            self._next_gossip_ns = now_ns + self._more.gossip_interval_ns
        elif self._next_gossip_ns < now_ns:
            self._next_gossip_ns = now_ns + self._more.gossip_interval_ns
            names = self._peers.all()
            for name in self._random.sample(names, min(len(names), self._more.gossip_nodes)):
                self._say(Kind.GOSSIP, name, 0)
        return findings

    def received(self, peer: str, message: Message, at_ns: int) -> list[Finding]:
        """See ``Detector.received``."""
        findings = super().received(peer, message, at_ns)
        if len(self._rumours) and self._next_gossip_ns is None:
            self._next_gossip_ns = at_ns + self._more.gossip_interval_ns
        return findings

    def next_deadline_ns(self) -> int | None:
        """See ``Detector.next_deadline_ns``."""
        due = super().next_deadline_ns()
        if self._next_gossip_ns is None or not len(self._rumours):
            return due
        return self._next_gossip_ns if due is None else min(due, self._next_gossip_ns)

    @property
    def _slowness(self) -> int:
        return self.health + 1

    def _to_be_told(self, to: str | None) -> Sequence[str]:
        if to is not None and self._peers.is_suspected(to):
            return [to]  # the paper's buddy system: tell a suspected peer so
        return super()._to_be_told(to)

    def _nack_ns(self, at_ns: int) -> int | None:
        return at_ns + int(self._settings.ping_timeout_ns * _NACK_SHARE)

    def _late_relay(self, number: int, now_ns: int) -> None:
        relay = self._relays[number]
        if relay.nack_ns is not None and relay.nack_ns < now_ns:
            relay.nack_ns = None
            self._say(Kind.NACK, relay.requester, relay.seq, relay.target)
        super()._late_relay(number, now_ns)

    def _judge(self, probe: Probe) -> None:
        if probe.answered:
            self._worsen(-1)
        elif probe.helpers:
            self._worsen(probe.helpers - len(probe.nacks))
        elif probe.missed:
            self._worsen(1)

    def _worsen(self, by: int) -> None:
        most = self._more.awareness_max_multiplier - 1
        self.health = max(0, min(most, self.health + by))

    def _patience(self, confirmed: int) -> int:
        return self._more.suspicion_ns(self._size, confirmed)

    def _confirm(self, update: Update) -> None:
        by = self._suspected[update.peer].by
        enough = len(by) > self._more.confirmations(self._size)
        if update.by is None or update.by in by or enough:
            return
        self._suspected.confirm(update.peer, update.by)
        self._rumours.add(update)

    def _refute(self, said: int) -> None:
        super()._refute(said)
        self._worsen(1)
