"""One node's protocol, driven by datagrams drawn at random: also such as no peer would send."""

from __future__ import annotations

import hashlib
import random

from nodes.membership.actions import FenceRequest, NewView
from nodes.membership.datagram import Heartbeat, Kind, MalformedHeartbeat, Rumour, encode
from nodes.membership.detectors.make import make_detector
from nodes.membership.detectors.settings import LifeguardSettings, Settings, SwimSettings
from nodes.membership.membership import Membership
from nodes.membership.protocol import Effect, HeartbeatProtocol
from nodes.membership.roster import Roster
from nodes.membership.views import Member, View

_PROBES = (Kind.PING, Kind.ACK, Kind.PING_REQ, Kind.NACK, Kind.GOSSIP)


class OneNode:
    """The node, what its peers might say, and a digest of all that it does.

    Args:
        seed: Of everything that is drawn.
        names: All nodes by index; which one is the node is drawn too, low ones more often.
        settings: Of its detector.
        interval_ns: Time between two heartbeats.
    """

    def __init__(self, seed: str, names: list[str], settings: Settings, interval_ns: int) -> None:
        self.chance = chance = random.Random(seed)  # noqa: S311
        self.names, self.interval = names, interval_ns
        self.me = chance.choice([names[0], names[0], names[-1], chance.choice(names)])
        self.roster = Roster({name: i for i, name in enumerate(names)})
        self.probing = isinstance(settings, SwimSettings | LifeguardSettings)
        joining = chance.random() < 0.2
        membership = Membership(
            Member(self.me, int(joining)),
            self.roster.order,
            joining=joining,
            fence_timeout_ns=3 * interval_ns,
            joiner_ttl_ns=3 * interval_ns,
            vote_ttl_ns=3 * interval_ns if self.probing else None,
        )
        detector = make_detector(
            settings,
            self.me,
            interval_ns=interval_ns,
            misses=3,
            grace_ns=2 * interval_ns,
            chance=random.Random(f"d {seed}"),  # noqa: S311
        )
        self.protocol = HeartbeatProtocol(self.roster, membership, detector, 0)
        self.membership = membership
        self.digest = hashlib.blake2b(digest_size=6)
        self.now = self.seq = 0
        self.views = [View(1, tuple(Member(name, 0) for name in names))]
        self.asked: list[FenceRequest] = []
        self.pings: list[tuple[str, int]] = []
        self.seqs = dict.fromkeys(names, 0)
        self.silent: set[str] = set()
        self.agree = chance.choice((0.5, 0.9, 0.98))

    def run(self, steps: int) -> str:
        """Let so many things happen; return the digest."""
        for _ in range(steps):
            self.now += self.chance.randrange(self.interval // 3)
            draw = self.chance.random()
            if draw < 0.5:
                self._hear_some()
            elif draw < 0.65:
                self._did(self.protocol.advance(self.now))
            elif draw < 0.85:
                self.seq += 1
                self._did(self.protocol.advance(self.now))
                self.protocol.beat(self.seq, self.now)
            elif draw < 0.93 and self.asked:
                asked = self.chance.choice(self.asked)
                view = asked.view + (self.chance.random() < 0.1)
                ok = self.chance.random() < 0.8
                self._did(self.protocol.fence_answer(asked.target, view, ok, self.now))
            else:
                self._trouble()
            self._note_state()
        return self.digest.hexdigest()

    def _trouble(self) -> None:
        most = self.chance.choice((0, 1, 1, 2, len(self.names) // 2))
        self.silent = set(self.chance.sample(self.names, min(most, len(self.names))))
        if self.chance.random() < 0.3:
            self.views.append(self._next_view(self.chance.choice(self.views[-2:])))

    def _next_view(self, view: View) -> View:
        boots = dict(view.members)
        name = self.chance.choice(self.names)
        if name in boots and len(boots) > 1 and self.chance.random() < 0.6:
            del boots[name]
        else:
            boots[name] = boots.get(name, 0) + 1
        members = tuple(Member(one, boots[one]) for one in self.names if one in boots)
        return View(view.number + 1, members, self.chance.choice(view.names))

    def _hear_some(self) -> None:
        others = [name for name in self.names if name != self.me and name not in self.silent]
        for name in self.chance.sample(others, min(len(others), self.chance.randint(1, 4))):
            payload = encode(self._heartbeat(name))
            if self.chance.random() < 0.01:
                payload = payload[:-1]
            at_ns = max(0, self.now - self.chance.choice((0, 0, 0, 10, self.interval // 2)))
            try:
                self._did(self.protocol.received(name, payload, at_ns))
            except MalformedHeartbeat:
                self.digest.update(b"malformed")

    def _heartbeat(self, name: str) -> Heartbeat:
        """Say what agrees with the node, or anything."""
        mine, index = self.membership, self.names.index(name)
        agrees = self.chance.random() < self.agree
        view = mine.view if agrees and mine.view.number else self.chance.choice(self.views[-3:])
        suspects = mine.suspects if agrees else self._some_suspects()
        follows = mine.coordinator() if agrees else self.chance.choice([None, *self.names[:3]])
        boot = view.incarnations.get(name, 0)
        joining = self.chance.random() < (0.02 if agrees else 0.3)
        self.seqs[name] += self.chance.choice((0, 1, 1, 1, 2))
        heartbeat = Heartbeat(
            sender=index,
            incarnation=boot + (joining or self.chance.random() < 0.02),
            seq=self.seqs[name],
            view=0 if joining else view.number,
            members=0 if joining else self._bitmap(view.names),
            suspects=self._bitmap(sorted(suspects)),
            sent_ns=self.now,
            joining=joining,
            follows=None if follows is None else self.names.index(follows),
            author=None if joining or view.author is None else self.names.index(view.author),
            incarnations=() if joining else tuple(one.incarnation for one in view.members),
        )
        return self._probe(heartbeat) if self.probing else heartbeat

    def _probe(self, heartbeat: Heartbeat) -> Heartbeat:
        kind, seq = self.chance.choice(_PROBES), heartbeat.seq
        about: int | None = self.chance.randrange(len(self.names))
        mine = [(to, seq) for to, seq in self.pings if to == self.names[heartbeat.sender]]
        if mine and self.chance.random() < 0.8:
            kind, (_, seq), about = Kind.ACK, self.chance.choice(mine), heartbeat.sender
        return heartbeat._replace(
            kind=kind,
            seq=seq,
            about=about,
            refuted=self.chance.choice((0, 0, 0, 0, 1, 2)),
            rumours=tuple(self._rumour() for _ in range(self.chance.choice((0, 0, 0, 1, 2, 6)))),
        )

    def _rumour(self) -> Rumour:
        member = self.chance.randrange(len(self.names))
        boots = self.membership.view.incarnations
        return Rumour(
            member,
            self.chance.choice((0, 1, 1, 1, 2)),
            self.chance.choice([None, *range(min(4, len(self.names)))]),
            boots.get(self.names[member], 0) + (self.chance.random() < 0.05),
            self.chance.choice((0, 0, 0, 1, 2, 3)),
        )

    def _some_suspects(self) -> set[str]:
        most = self.chance.choice((0, 1, 1, 2, len(self.names) // 2, len(self.names) - 1))
        return set(self.chance.sample(self.names, min(most, len(self.names))))

    def _bitmap(self, names: object) -> int:
        assert isinstance(names, list | tuple)
        return sum(1 << self.names.index(name) for name in names)

    def _did(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, FenceRequest):
                self.asked.append(effect)
            elif isinstance(effect, NewView):
                self.views.append(effect.view)
            self.digest.update(repr(effect).encode())
        for to, kind, seq, payload in (tuple(one)[:4] for one in self.protocol.outgoing(self.now)):
            self.digest.update(repr((to, int(kind), seq, payload)).encode())
            if kind is Kind.PING:
                self.pings = [*self.pings[-5:], (to[0], seq)]

    def _note_state(self) -> None:
        mine = self.membership
        state = (
            mine.standing.value,
            mine.view,
            sorted(mine.suspects),
            mine.coordinator(),
            mine.quorate,
            mine.held_by_majority,
            self.protocol.next_deadline_ns(),
        )
        self.digest.update(repr(state).encode())
