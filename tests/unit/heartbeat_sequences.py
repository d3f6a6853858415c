"""Random sequences of all that can happen to heartbeats and membership, and digests of the outcome.

``data/heartbeat_sequences.json`` has the digests of the implementation that scanned all peers in
every interval; those of swim and lifeguard were recorded anew when a node began to answer its own
death at once, and the dead to be told of in turn, by the implementation that is as before without
these two. An implementation that does the same has the same digests, to the byte. This file
run as a program prints them: ``python -m tests.unit.heartbeat_sequences ALONE NETWORKS``.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import random
import sys
from collections.abc import Callable, Iterator

from nodes.membership.actions import FenceRequest, Standing
from nodes.membership.cluster import Cluster
from nodes.membership.detectors.settings import (
    FixedSettings,
    LifeguardSettings,
    PhiSettings,
    Settings,
    SwimSettings,
)
from nodes.membership.fences import FenceAnswer, FenceLedger
from nodes.membership.protocol import Datagram
from nodes.membership.rings import Arrival
from nodes.membership.roster import Roster
from nodes.membership.settings import HeartbeatSettings, Peer
from nodes.membership.turn import HeartbeatNode
from tests.unit.heartbeat_alone import OneNode

INTERVAL = 1_000_000
DETECTORS: dict[str, Callable[[], Settings]] = {
    "fixed": lambda: FixedSettings(),
    "fixed-warns": lambda: FixedSettings.preset(INTERVAL, deadtime_ns=INTERVAL * 7 // 2),
    "fixed-initdead": lambda: FixedSettings(initdead_ns=5 * INTERVAL),
    "phi": lambda: PhiSettings.preset(INTERVAL, max_sample_size=20),
    "swim": lambda: SwimSettings.preset(INTERVAL),
    "lifeguard": lambda: LifeguardSettings.preset(INTERVAL),
}


class TwoRings(HeartbeatSettings):
    """A node with a second ring."""

    @property
    def rings(self) -> int:
        return 2


def settings_of(names: list[str], name: str, kind: str, *, rings: int = 1) -> HeartbeatSettings:
    """Return the settings of a node before its first boot."""
    index = names.index(name)
    return (HeartbeatSettings if rings == 1 else TwoRings)(
        node=name,
        index=index,
        peers={other: Peer(names.index(other)) for other in names if other != name},
        interval_ns=INTERVAL,
        misses=3,
        phase_ns=index * INTERVAL // len(names),
        grace_ns=2 * INTERVAL,
        detector=DETECTORS[kind](),
        tells_quorum=index % 2 == 0,
    )


class Network:
    """Nodes on a network with losses, delays, partitions, stalls, deaths and a fence service.

    With ``values`` the nodes are of one process, and what they say has no bytes.
    """

    def __init__(self, seed: str, kind: str, *, values: bool = False) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        size = self.chance.choice((2, 2, 3, 3, 3, 4, 5, 5, 6, 7, 9, 12))
        self.names = [f"n{i + 1}" for i in range(size)]
        self.kind, self.rings = kind, self.chance.choice((1, 1, 2))
        self.cluster: Cluster | None = None
        if values:
            self.cluster = Cluster(Roster({name: i for i, name in enumerate(self.names)}))
        self.digest = hashlib.blake2b(digest_size=6)
        self.now = 0
        self.queue: list[tuple[int, int, str]] = []
        self.count = 0
        self.inbox: dict[str, list[Arrival]] = {name: [] for name in self.names}
        self.answers: dict[str, list[FenceAnswer]] = {name: [] for name in self.names}
        self.boots = dict.fromkeys(self.names, 0)
        self.nodes: dict[str, HeartbeatNode] = {}
        self.stalled: set[str] = set()
        self.cut: set[str] = set()
        self.loss = 0.0
        self.fence_works = self.fence_answers = True
        self.ledger = FenceLedger(self._fence)
        for name in self.names:
            self._boot(name)

    def _boot(self, name: str) -> None:
        settings = settings_of(self.names, name, self.kind, rings=self.rings)
        if self.boots[name]:
            fields = {**vars(settings), "incarnation": self.boots[name], "joining": True}
            settings = type(settings)(**fields)
        self.nodes[name] = node = HeartbeatNode(settings, self.now, self.cluster)
        self.inbox[name], self.answers[name] = [], []
        self._note(name, node.started(self.now))
        self._wake(node.next_turn_ns(), name)

    def _note(self, *what: object) -> None:
        self.digest.update(repr(what).encode())

    def _wake(self, at_ns: int, name: str) -> None:
        self.count += 1
        heapq.heappush(self.queue, (at_ns, self.count, name))

    def _fence(self, target: str, _by: str) -> bool:
        if self.fence_works:
            self.nodes.pop(target, None)
        return self.fence_works

    def run(self, intervals: int) -> str:
        """Let so many intervals pass, with faults and repairs between; return the digest."""
        for interval in range(1, intervals + 1):
            while self.queue and self.queue[0][0] <= interval * INTERVAL:
                at_ns, _, name = heapq.heappop(self.queue)
                self.now = max(self.now, at_ns)
                due = self.nodes[name].next_turn_ns() if name in self.nodes else None
                waits = any(one.at_ns <= self.now for one in self.inbox[name])
                if due is None or name in self.stalled:
                    continue
                if due <= self.now or waits or self.answers[name]:
                    self._turn(name)
            self._change(interval)
        return self.digest.hexdigest()

    def _turn(self, name: str) -> None:
        node = self.nodes[name]
        arrived = [one for one in self.inbox[name] if one.at_ns <= self.now]
        self.inbox[name] = [one for one in self.inbox[name] if one.at_ns > self.now]
        answers, self.answers[name] = self.answers[name], []
        turn = node.turn(self.now, arrived, answers)
        for datagram in turn.datagrams:
            for peer in datagram.to:
                for ring in range(self.rings):
                    self._carry(name, peer, datagram, ring)
        for request in turn.fences:
            self._ask(name, request)
        standing, quorate = node.membership.standing, node.membership.quorate
        due = node.next_turn_ns()
        told = [self._told(datagram) for datagram in turn.datagrams]
        self._note(self.now, name, turn.events, turn.fences, told, standing.value, quorate, due)
        if name in self.nodes:
            self._wake(max(due, self.now + 1), name)

    def _told(self, datagram: Datagram) -> tuple[object, ...]:
        return datagram.to, int(datagram.kind), datagram.seq, datagram.payload

    def _carry(self, sender: str, receiver: str, datagram: Datagram, ring: int) -> None:
        lost = (sender in self.cut) != (receiver in self.cut)
        if lost or self.chance.random() < self.loss or receiver not in self.nodes:
            return
        at_ns = self.now + self.chance.choice((1_000, 1_000, 20_000, INTERVAL // 4))
        arrival = Arrival(datagram.payload, sender, at_ns, ring, datagram.said)
        self.inbox[receiver].append(arrival)
        if receiver not in self.stalled:
            self._wake(at_ns, receiver)

    def _ask(self, name: str, request: FenceRequest) -> None:
        ok, t_ns = self.ledger.ask(request.target, name, request.view, self.now)
        if self.fence_answers and name in self.nodes:
            self.answers[name].append(FenceAnswer(request.target, request.view, ok, t_ns))
            self._wake(self.now + INTERVAL // 3, name)

    def _change(self, interval: int) -> None:
        draw = self.chance.random()
        some = self.chance.choice(self.names)
        if draw < 0.1:
            self.loss = self.chance.choice((0.0, 0.0, 0.1, 0.5))
        elif draw < 0.2:
            size = self.chance.choice((0, 0, 0, 1, 1, len(self.names) // 2))
            self.cut = set(self.chance.sample(self.names, size))
        elif draw < 0.3:
            self.stalled = {some} if self.chance.random() < 0.6 else set()
        elif draw < 0.36:
            self.nodes.pop(some, None)
        elif draw < 0.4:
            self.fence_works = self.chance.random() < 0.8
            self.fence_answers = self.chance.random() < 0.8
        for name in self.names:
            ejected = name in self.nodes and (
                self.nodes[name].membership.standing is Standing.EJECTED
            )
            if (name not in self.nodes or ejected) and self.chance.random() < 0.2:
                self.boots[name] += 1
                self.ledger.released(name)
                self._boot(name)
            elif name in self.nodes and interval % 2:
                self._wake(self.now, name)


def alone(kind: str, number: int) -> str:
    """Return the digest of sequence ``number`` of one node that hears what nobody would say."""
    size = random.Random(f"size {number}").choice((2, 3, 3, 4, 5, 5, 7, 8, 12, 16, 32))  # noqa: S311
    names = [f"n{i + 1}" for i in range(size)]
    return OneNode(f"{kind} {number}", names, DETECTORS[kind](), INTERVAL).run(120)


def network(kind: str, number: int) -> str:
    """Return the digest of sequence ``number`` of a whole network."""
    return Network(f"{kind} {number}", kind).run(50)


def digests(kind: str, alone_most: int, networks_most: int) -> Iterator[tuple[str, str]]:
    """Yield names and digests, each of a few sequences in a row.

    Args:
        kind: Of the detector, as in ``DETECTORS``.
        alone_most: How many sequences of one node.
        networks_most: How many of whole networks.
    """
    for what, one, step, most in (
        ("alone", alone, 25, alone_most),
        ("network", network, 5, networks_most),
    ):
        for first in range(0, most, step):
            found = "".join(one(kind, number) for number in range(first, first + step))
            digest = hashlib.blake2b(found.encode(), digest_size=6).hexdigest()
            yield f"{what} {kind} {first}", digest


if __name__ == "__main__":
    counts = int(sys.argv[1]), int(sys.argv[2])
    kinds = sys.argv[3:] or list(DETECTORS)
    found = dict(one for kind in kinds for one in digests(kind, *counts))
    sys.stdout.write(json.dumps(found, indent=0) + "\n")
