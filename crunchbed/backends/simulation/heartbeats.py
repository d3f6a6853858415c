"""The heartbeat daemon of a simulated node: ``nodes.membership`` with a clock and a network."""

from __future__ import annotations

from collections.abc import Iterable

from crunchbed.backends.common import settings
from crunchbed.backends.simulation.daemon import Daemon, Home
from crunchbed.backends.simulation.host import UdpSocket
from crunchbed.backends.simulation.packet import Datagram
from crunchbed.scenario import detector
from nodes.membership.fences import FenceAnswer
from nodes.membership.rings import Arrival
from nodes.membership.settings import HeartbeatSettings, Peer
from nodes.membership.turn import HeartbeatNode, Turn, sent
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.membership import ViewInstalled


class HeartbeatDaemon(Daemon):
    """Heartbeats and membership: ``nodes.membership``."""

    def __init__(self, node: Home) -> None:
        super().__init__(node, "heartbeat")
        scenario = node.scenario
        names = scenario.node_names
        self._rings = settings.rings(node.host.network.layout(node.name).links)
        self._addresses = {
            name: [link.ip for link in settings.rings(node.host.network.layout(name).links)]
            for name in names
        }
        self._names = {ip: name for name, ips in self._addresses.items() for ip in ips}
        self._protocol = HeartbeatNode(
            HeartbeatSettings(
                **settings.heartbeat(scenario, node.name, node.incarnation),
                peers={name: Peer(i) for i, name in enumerate(names) if name != node.name},
                detector=detector.settings(scenario.detector, scenario.heartbeat.interval),
            ),
            self._now(),
        )
        self._socket: UdpSocket = node.host.bind(
            scenario.heartbeat.port,
            self._received,
            memalloc="heartbeat" in scenario.memalloc,
            realtime=True,
        )
        self._arrived: list[Arrival] = []
        self._answers: list[FenceAnswer] = []
        for event in self._protocol.started(self._now()):
            self._tell(event)
        self._next(self._protocol.next_turn_ns())

    def _received(self, packet: Datagram) -> None:
        ring = next(i for i, link in enumerate(self._rings) if link.ip == packet.destination)
        name = self._names.get(packet.source, "")
        self._arrived.append(Arrival(packet.payload, name, self._now(), ring))
        self.wake()

    def _turn(self) -> None:
        now = self._now()
        arrived, self._arrived = self._arrived, []
        answers, self._answers = self._answers, []
        turn = self._protocol.turn(now, arrived, answers)
        self._carry_out(turn)
        self._next(self._protocol.next_turn_ns())

    def _carry_out(self, turn: Turn) -> None:
        for event in turn.events:
            self._tell(event)
        for request in turn.fences:
            self._node.fences.ask(request.target, self._node.name, request.view, self._answered)
        for datagram in turn.datagrams:
            self._tell(sent(datagram, self._now(), list(datagram.to), []))
            self._send(datagram.payload, datagram.to)

    def _send(self, payload: bytes, to: Iterable[str]) -> None:
        tag = payload[:8].hex()
        for ring, link in enumerate(self._rings):
            for name in to:
                self._node.host.send_to(
                    self._socket,
                    link.ip,
                    self._addresses[name][ring],
                    len(payload),
                    payload=payload,
                    tag=tag,
                )

    def _answered(self, answer: FenceAnswer) -> None:
        self._answers.append(answer)
        self.wake()

    def _tell(self, event: Event) -> None:
        self._node.note(event)
        if isinstance(event, ViewInstalled):
            self._node.tell_view(event)
