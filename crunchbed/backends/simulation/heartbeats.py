"""The heartbeat daemon of a simulated node: ``nodes.membership`` with a clock and a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crunchbed.backends.common import settings
from crunchbed.backends.simulation.daemon import Daemon, Home
from crunchbed.backends.simulation.host import UdpSocket
from crunchbed.backends.simulation.packet import UDP_HEADERS, Datagram
from crunchbed.scenario import detector
from nodes.membership.fences import FenceAnswer
from nodes.membership.protocol import Datagram as Said
from nodes.membership.rings import Arrival
from nodes.membership.settings import DEFAULT_GRACE_NS, HeartbeatSettings, Peer
from nodes.membership.turn import HeartbeatNode, Turn, sent
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import HeartbeatSent
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.packets import Hook, PacketClass

_PHASE_NS: Final = 300_000
"""By so much the beats of a large cluster are beside whole milliseconds, at which the run looks."""


class _Sums:
    """How many datagrams a daemon has sent, in place of an event for each."""

    def __init__(self) -> None:
        self._sent = 0
        self._latest = 0
        self._latest_ns = 0

    def add(self, datagrams: int, now: int) -> None:
        """Count what is sent now."""
        if now != self._latest_ns:
            self._sent += self._latest
            self._latest, self._latest_ns = 0, now
        self._latest += datagrams

    def take(self, before_ns: int) -> int:
        """Return how many were sent before a time, which is now, and forget them."""
        self.add(0, before_ns)
        found, self._sent = self._sent, 0
        return found


class HeartbeatDaemon(Daemon):
    """Heartbeats and membership: ``nodes.membership``.

    Attributes:
        node_name: The node's name.
        rules: Its part in the protocol.
        rests: Whether its next turn of itself is a probe that may be a calm one.
        alert_until_ns: Until when a packet may be on its way to it.
    """

    def __init__(self, node: Home) -> None:
        super().__init__(node, "heartbeat")
        scenario = node.scenario
        network, shared = node.host.network, node.membership
        self.node_name = node.name
        self._calm = shared.calm
        self._ips = network.rings[node.name]
        self._addresses = network.rings
        self._names = network.names
        self._summarised = scenario.summarised
        self._sums = _Sums()
        self._passed = 0  # calm exchanges, of which each is a datagram sent and one received
        self._pages: Mapping[Hook, int] = {}  # of such a datagram
        self.rests = False
        self.alert_until_ns = 0
        cluster = shared.cluster
        self.rules = HeartbeatNode(self._settings(alone=cluster is None), self._now(), cluster)
        self._socket: UdpSocket = node.host.bind(
            scenario.heartbeat.port,
            self._received,
            memalloc="heartbeat" in scenario.memalloc,
            realtime=True,
        )
        self._arrived: list[Arrival] = []
        self._answers: list[FenceAnswer] = []
        for event in self.rules.started(self._now()):
            self._tell(event)
        self._calm.join(node.name, self)
        self._plan()

    def _settings(self, *, alone: bool) -> HeartbeatSettings:
        """Return what it is set to; ``alone``: it knows no cluster that has the other nodes."""
        scenario, node = self._node.scenario, self._node
        chosen = settings.heartbeat(scenario, node.name, node.incarnation)
        peers = {}
        if alone:
            peers = {name: Peer(i) for i, name in enumerate(scenario.node_names)}
            del peers[node.name]
        else:
            chosen["grace_ns"] = DEFAULT_GRACE_NS  # all nodes of a simulation start at once
            chosen["phase_ns"] += _PHASE_NS
        return HeartbeatSettings(
            **chosen,
            peers=peers,
            detector=detector.settings(scenario.detector, scenario.heartbeat.interval),
            reports=not self._summarised,
        )

    # --- what is calm

    @property
    def is_held_up(self) -> bool:
        """Whether it stands still, or its node is short of memory."""
        return self._paused or self._node.memory.busy

    def free_until(self, ns: int) -> bool:
        """Whether nothing that is known of comes to this node until then, or from it."""
        node = self._node
        return (
            self.alert_until_ns < self._loop.now_ns()
            and not self._paused
            and not self._arrived
            and not self._answers
            and node.memory.unmoved
            and node.host.neighbours.knows_all
            and not node.stirs_by(ns, self.name)
        )

    def _fire(self) -> None:
        if not (self.rests and self._passes_calmly()):
            super()._fire()

    def _passes_calmly(self) -> bool:
        # Before that time somebody has woken it, and after it the daemon has stood still.
        if self._loop.now_ns() != self._planned_ns or not self._calm.answered(self):
            return False
        self._plan()
        return True

    def _plan(self) -> None:
        self._planned_ns = self.rules.next_turn_ns()
        self._next(self._planned_ns)

    def count_exchange(self, now: int) -> None:
        """Count one datagram that was sent now, and one that was received."""
        if not self._passed:
            self._pages = self._node.memory.calm_pages(UDP_HEADERS + self.rules.calm_bytes)
        self._passed += 1
        self._sums.add(1, now)

    # --- turns

    def _received(self, packet: Datagram) -> None:
        ring = self._ips.index(packet.destination)
        name = self._names.get(packet.source, "")
        told: Said = packet.payload
        self._arrived.append(Arrival(told.payload, name, self._now(), ring, told.said))
        self.wake()

    def _turn(self) -> None:
        now = self._now()
        arrived, self._arrived = self._arrived, []
        answers, self._answers = self._answers, []
        turn = self.rules.turn(now, arrived, answers)
        self._carry_out(turn)
        self.rests = self._summarised and self.rules.rests
        self._plan()

    def _carry_out(self, turn: Turn) -> None:
        for event in turn.events:
            self._tell(event)
        for request in turn.fences:
            self._node.fences.ask(request.target, self._node.name, request.view, self._answered)
        for datagram in turn.datagrams:
            self._note_sent(datagram)
            self._send(datagram)

    def _note_sent(self, datagram: Said) -> None:
        """Write a datagram down, or count it where nobody will ask for it."""
        to, now = datagram.to, self._now()
        asked_for = self._calm.deviates(self.node_name) or (
            len(to) == 1 and self._calm.deviates(to[0])
        )
        if self._summarised and not asked_for:
            self._sums.add(len(to), now)
        else:
            self._tell(sent(datagram, now, list(to), []))

    def _send(self, datagram: Said) -> None:
        said = datagram.said
        length = len(datagram.payload) if said is None else said.size
        for ring, ip in enumerate(self._ips):
            for name in datagram.to:
                leaves_ns = self._node.host.send_to(
                    self._socket,
                    ip,
                    self._addresses[name][ring],
                    length,
                    payload=datagram,
                    tag=datagram.tag,
                )
                if leaves_ns is not None:
                    self._calm.expect(name, leaves_ns)

    def _answered(self, answer: FenceAnswer) -> None:
        self._answers.append(answer)
        self.wake()

    def _tell(self, event: Event) -> None:
        self._node.note(event)
        if isinstance(event, ViewInstalled):
            self._node.tell_view(event)

    # --- what a summary has

    def tell_sums(self) -> None:
        """Write down how many datagrams were sent before this moment."""
        now = self._now()
        if datagrams := self._sums.take(now):
            self._node.note(HeartbeatSent(t=now - 1, peers=datagrams))

    def _settle(self) -> None:
        """The daemon ends: write down what it has counted."""
        self._calm.leave(self.node_name)
        if not self._summarised:
            return
        self.tell_sums()
        if left := self._sums.take(self._now() + 1):
            self._node.note(HeartbeatSent(t=self._now(), peers=left))
        self._node.note(self.rules.received(self._now(), self._passed))
        self._node.memory.count_calm(self._passed, PacketClass.HEARTBEAT, self._pages)

    def end(self) -> None:
        """See ``Daemon.end``."""
        super().end()
        self._settle()

    def die(self) -> None:
        """See ``Daemon.die``."""
        super().die()
        self._settle()
