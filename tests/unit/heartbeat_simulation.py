"""A small simulated network of heartbeat protocols: seeded, with its own clock and faults."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.membership.actions import FenceRequest, NewView, Standing
from nodes.membership.detector import Clear, Miss, Suspect, Warn
from nodes.membership.detectors.make import make_detector
from nodes.membership.detectors.settings import (
    FixedSettings,
    LifeguardSettings,
    Settings,
    SwimSettings,
)
from nodes.membership.fences import FenceLedger
from nodes.membership.membership import Membership
from nodes.membership.protocol import Effect, HeartbeatProtocol
from nodes.membership.roster import Roster
from nodes.membership.views import Member, View

INTERVAL = 1_000_000
MISSES = 3
TICK = INTERVAL // 8
GRACE = 3 * INTERVAL
# How old a suspicion can be that a coordinator still counts: from its holder's last heartbeat
# until the coordinator suspects the holder too.
STALE = GRACE + (MISSES + 1) * INTERVAL + 2 * TICK
VOTE_TTL = MISSES * INTERVAL


@dataclass
class SimulatedNode:
    name: str
    protocol: HeartbeatProtocol
    incarnation: int = 0
    seq: int = 0
    alive: bool = True
    stalled: bool = False
    waiting: list[tuple[str, bytes, int]] = field(default_factory=list)
    suspected: dict[str, int] = field(default_factory=dict)  # peer -> last time it was suspected


class Simulation:
    """Runs ``count`` nodes; ``effects`` records everything that happened, with time and node.

    Args:
        count: number of nodes, all configured and started at time 0.
        seed: of delays and jitter.
        jitter_ns: each heartbeat is up to this much later than its slot; so is its delivery.
        fencing: whether a confirmed fence really kills.
        settings: of the failure detector.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        jitter_ns: int = 0,
        fencing: bool = True,
        settings: Settings | None = None,
    ) -> None:
        self.now = 0
        self.random = random.Random(seed)  # noqa: S311
        self.jitter_ns = jitter_ns
        self.names = [f"n{i + 1}" for i in range(count)]
        self.roster = Roster({name: i for i, name in enumerate(self.names)})
        self.ledger = FenceLedger(self._fence)
        self.fencing = fencing
        self.settings = FixedSettings() if settings is None else settings
        self.datagrams = 0
        self.fence_silent = False  # the service answers nothing
        self.reboot_after: int | None = None
        self.cut: Callable[[str, str], bool] = lambda _sender, _receiver: False
        self.slow: Callable[[str, str], int] = lambda _sender, _receiver: 0
        self.effects: list[tuple[int, str, Effect]] = []
        self.holders: dict[int, dict[View, set[str]]] = {}
        self.won: dict[int, View] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.nodes: dict[str, SimulatedNode] = {}
        for name in self.names:
            self._boot(name, incarnation=0)

    def run(self, until_ns: int) -> None:
        while self._queue and self._queue[0][0] <= until_ns:
            self.now, _, event = heapq.heappop(self._queue)
            event()
        self.now = until_ns

    def at(self, when_ns: int, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when_ns, self._count, event))

    def healthy(self) -> int:
        standing = [node.protocol.membership.standing for node in self.nodes.values() if node.alive]
        return standing.count(Standing.MEMBER)

    def kill(self, name: str) -> None:
        node = self.nodes[name]
        if not node.alive:
            return
        node.alive = False
        for number, by_view in self.holders.items():
            for view, holders in by_view.items():
                holders.discard(name)
                if not holders and view == self.won.get(number) and number == max(self.won):
                    del self.won[number]  # all who knew of it died at once, see the rules
        if self.reboot_after is not None:
            self.at(self.now + self.reboot_after, lambda: self.reboot(name))

    def reboot(self, name: str) -> None:
        old = self.nodes[name]
        if not old.alive:
            self.ledger.released(name)
            self._boot(name, old.incarnation + 1)

    def stall(self, name: str) -> None:
        self.nodes[name].stalled = True

    def resume(self, name: str) -> None:
        node = self.nodes[name]
        if not node.stalled:
            return
        node.stalled = False
        waiting, node.waiting = node.waiting, []
        for sender, payload, at_ns in waiting:
            if node.alive:
                self._did(node, node.protocol.received(sender, payload, at_ns))
        self._flush(node)

    @property
    def probing(self) -> bool:
        return isinstance(self.settings, SwimSettings | LifeguardSettings)

    def of_kind(self, kind: type[Effect], node: str | None = None) -> list[tuple[int, str, Effect]]:
        return [e for e in self.effects if isinstance(e[2], kind) and node in (None, e[1])]

    def _boot(self, name: str, incarnation: int) -> None:
        membership = Membership(
            Member(name, incarnation),
            self.roster.order,
            joining=incarnation > 0,
            fence_timeout_ns=5 * INTERVAL,
            joiner_ttl_ns=MISSES * INTERVAL,
            vote_ttl_ns=VOTE_TTL if self.probing else None,
        )
        detector = make_detector(
            self.settings,
            name,
            interval_ns=INTERVAL,
            misses=MISSES,
            grace_ns=GRACE,
            chance=random.Random(self.random.random()),  # noqa: S311
        )
        protocol = HeartbeatProtocol(self.roster, membership, detector, self.now)
        node = self.nodes[name] = SimulatedNode(name, protocol, incarnation)
        slot = self.now + self.random.randrange(INTERVAL)
        self.at(slot, lambda: self._send(node, slot))
        self.at(self.now + self.random.randrange(TICK), lambda: self._tick(node))
        if membership.view.number:
            self.holders.setdefault(1, {}).setdefault(membership.view, set()).add(name)

    def _send(self, node: SimulatedNode, slot: int) -> None:
        if not node.alive:
            return
        node.seq += 1
        if not node.stalled:
            self._did(node, node.protocol.advance(self.now))
            node.protocol.beat(node.seq, self.now)
            self._flush(node)
        following = slot + INTERVAL
        late = self.random.randint(0, self.jitter_ns)
        self.at(following + late, lambda: self._send(node, following))

    def _flush(self, node: SimulatedNode) -> None:
        for datagram in node.protocol.outgoing(self.now) if node.alive else ():
            for name in datagram.to:
                if not self.cut(node.name, name):
                    self.datagrams += 1
                    self._transmit(node.name, name, datagram.payload)

    def _transmit(self, sender: str, receiver: str, payload: bytes) -> None:
        late = self.slow(sender, receiver) + self.random.randint(0, self.jitter_ns)
        arrival = self.now + late

        def deliver() -> None:
            node = self.nodes[receiver]
            if node.stalled and node.alive:
                node.waiting.append((sender, payload, arrival))
            elif node.alive:
                self._did(node, node.protocol.received(sender, payload, arrival))
                self._flush(node)

        self.at(arrival, deliver)

    def _tick(self, node: SimulatedNode) -> None:
        if node.alive:
            if not node.stalled:
                self._did(node, node.protocol.advance(self.now))
                self._flush(node)
            for peer in node.protocol.membership.suspects:
                node.suspected[peer] = self.now
            self.at(self.now + TICK, lambda: self._tick(node))

    def _did(self, node: SimulatedNode, effects: list[Effect]) -> None:
        for effect in effects:
            self.effects.append((self.now, node.name, effect))
            match effect:
                case Suspect(peer) | Clear(peer):
                    node.suspected[peer] = self.now
                case NewView(view):
                    self._installed(node, view)
                case FenceRequest(target, number):
                    self._check_majority(node, target)
                    if not self.fence_silent:
                        delay = self.random.randint(0, INTERVAL)
                        self.at(self.now + delay, lambda t=target, v=number: self._ask(node, t, v))  # type: ignore[misc]
                case Miss() | Warn():
                    pass

    def _ask(self, node: SimulatedNode, target: str, view: int) -> None:
        ok, _ = self.ledger.ask(target, node.name, view, self.now)
        if node.alive:  # a stalled one reads the answer when it runs again: not simulated
            self._did(node, node.protocol.fence_answer(target, view, ok, self.now))

    def _fence(self, target: str, _by: str) -> bool:
        if self.fencing:
            self.kill(target)
        return True

    def _check_majority(self, node: SimulatedNode, target: str) -> None:
        view = node.protocol.membership.view
        agreed = [
            name
            for name in view.names
            if self.nodes[name].suspected.get(target, -STALE - 1) >= self.now - STALE
        ]
        assert len(agreed) >= view.majority, f"{node.name} fences {target} with {agreed} of {view}"

    def _installed(self, node: SimulatedNode, view: View) -> None:
        for by_view in self.holders.values():
            for holders in by_view.values():
                holders.discard(node.name)
        if not view.holds(node.protocol.membership.me):
            return
        holders = self.holders.setdefault(view.number, {}).setdefault(view, set())
        holders.add(node.name)
        if len(holders) >= view.majority:
            first = self.won.setdefault(view.number, view)
            assert first == view, f"two views of number {view.number}: {first} and {view}"
