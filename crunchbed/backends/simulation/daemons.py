"""The daemons of a simulated node: clock, network and events around the same rules as real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from crunchbed.backends.common import settings
from crunchbed.backends.simulation.disk import SimulatedTransport, Write
from crunchbed.backends.simulation.host import UdpSocket
from crunchbed.backends.simulation.loop import Timer
from crunchbed.backends.simulation.packet import Datagram
from crunchbed.scenario import detector
from crunchbed.scenario.crunch import FloodCrunch
from nodes.block.pattern import BLOCK_BYTES, Stamp
from nodes.block.reconnect import Reconnecting
from nodes.block.task import WritebackTask
from nodes.block.transport import Reports
from nodes.block.writeback import Request, WritebackSettings
from nodes.membership.fences import FenceAnswer
from nodes.membership.rings import Arrival
from nodes.membership.settings import HeartbeatSettings, Peer
from nodes.membership.turn import HeartbeatNode, Turn, sent
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.run import DaemonReady

if TYPE_CHECKING:
    from selectors import SelectorKey

    from crunchbed.backends.simulation.node import SimulatedNode

TICK_NS: Final = 2_000_000
"""How often an initiator looks what its tasks want (``nodes/block/initiator.py``) while they wait.
Without a burst it looks as often as the steady dirtying fills a request."""
_IDLE_NS: Final = 50_000_000


class Daemon:
    """A daemon of one life of a node: it has turns, unless it stands still or has ended.

    Args:
        node: Its node.
        name: As in ``daemon.ready``.
    """

    def __init__(self, node: SimulatedNode, name: str) -> None:
        self.name = name
        self._node = node
        self._loop = node.loop
        self._paused = False
        self._timer = Timer(self._loop, self._fire)
        self._missed = False  # a turn was due while it stood still

    def _now(self) -> int:
        return self._loop.now_ns()

    def _turn(self) -> None:
        """Do what is due, and say when the next turn is."""
        raise NotImplementedError

    def _next(self, ns: int) -> None:
        self._timer.set(ns)

    def wake(self) -> None:
        """Have a turn now."""
        self._timer.set(self._now())

    def _fire(self) -> None:
        if self._paused:
            self._missed = True
        else:
            self._turn()

    def pause(self) -> None:
        """Stand still."""
        self._paused = True

    def resume(self) -> None:
        """Go on where it stood."""
        self._paused = False
        if self._missed:
            self._missed = False
            self.wake()

    def end(self) -> None:
        """End; nothing is said or sent any more."""
        self._timer.cancel()


class HeartbeatDaemon(Daemon):
    """Heartbeats and membership: ``nodes.membership``."""

    def __init__(self, node: SimulatedNode) -> None:
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


class _NoSockets:
    """What an initiator serves while it has no connection: nothing."""

    def select(self, _timeout: float, /) -> Sequence[tuple[SelectorKey, int]]:
        return ()


class InitiatorDaemon(Daemon):
    """Writeback: ``nodes.block.task`` with a connection and the node's pool."""

    def __init__(self, node: SimulatedNode) -> None:
        super().__init__(node, "initiator")
        scenario = node.scenario
        self._index = scenario.node_names.index(node.name)
        self._port = scenario.block_io.port
        chosen = WritebackSettings(**settings.writeback(scenario, node.name, node.incarnation))
        self._incarnation = chosen.incarnation
        full_ns = 1_000_000_000 * chosen.request_blocks // max(1, round(chosen.dirty_rate))
        self._idle_ns = min(_IDLE_NS, max(TICK_NS, full_ns))
        now = self._now
        self._wants = 0  # pages of bursts
        self.task = WritebackTask(chosen, node.memory, node.note, now())
        self._reports = Reports(
            lambda sequence: self.task.acknowledged(sequence, now()),
            lambda sequence, error: self.task.failed(sequence, error, now()),
        )
        self._timeout_ns = scenario.block_io.nbd.timeout
        self._connection: Reconnecting[Write] = Reconnecting(
            self._connect,
            scenario.block_io.nbd.dead_conn_timeout,
            _NoSockets(),
            self,
            now,
        )
        self.wake()

    def _connect(self) -> SimulatedTransport:
        node = self._node
        return SimulatedTransport(
            node.host, node.portal, self._port, self._timeout_ns, self._reports, self.wake
        )

    def _turn(self) -> None:
        now = self._now()
        self.task.dirty(now)
        while (request := self.task.next(now)) is not None:
            self._write(request)
        self._connection.serve(0.0)
        while (request := self.task.next(now)) is not None:
            self._write(request)
        self.task.report_progress(now)
        busy = self._wants or not self._connection.up
        self._next(now + (TICK_NS if busy else self._idle_ns))

    def _write(self, request: Request) -> None:
        stamp = Stamp(self._index, self._incarnation, request.sequence, request.block)
        write = Write(request.sequence, stamp, request.blocks)
        self._connection.write(request.sequence, write, request.block * BLOCK_BYTES)

    def burst(self, pages: int, rate: int, start_ns: int) -> None:
        """Have the tasks ask for ``pages`` more."""
        self._wants += pages
        self.task.burst(pages, rate, start_ns)
        self.wake()

    def calm(self) -> None:
        """Have the tasks give up what they wait for."""
        self._wants = 0
        self.task.calm()

    def connected(self, *, first: bool) -> None:
        """See ``ConnectionListener``."""
        for request in self.task.connected(self._now(), first=first):
            self._write(request)

    def disconnected(self, reason: str) -> None:
        """See ``ConnectionListener``."""
        self.task.disconnected(reason, self._now())

    def given_up(self) -> None:
        """See ``ConnectionListener``."""
        self.task.given_up(self._now())

    def end(self) -> None:
        """End, and hang up."""
        super().end()
        self._connection.close()


class TrafficDaemon(Daemon):
    """Readers of packets that are nobody's: normal tasks, and one that does not read."""

    def __init__(self, node: SimulatedNode) -> None:
        super().__init__(node, "traffic")
        scenario, crunch = node.scenario, node.scenario.crunch
        node.host.bind(scenario.traffic.port, _forget)
        if isinstance(crunch, FloodCrunch):
            node.host.bind(crunch.port, _forget, memalloc=crunch.memalloc, stalled=True)
        node.note(DaemonReady(t=self._now(), name="traffic"))


def _forget(_packet: Datagram) -> None:
    """A reader of packets that are nobody's has read one."""


DAEMONS: Final[dict[str, Callable[[SimulatedNode], Daemon]]] = {
    "heartbeat": HeartbeatDaemon,
    "initiator": InitiatorDaemon,
    "traffic": TrafficDaemon,
}
"""What makes each daemon, by its name."""
