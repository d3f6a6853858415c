"""A host on the simulated network: its sockets, and its memory where the host has one to lose."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from crunchbed.backends.simulation.arp import ARP, Neighbours
from crunchbed.backends.simulation.books import Books
from crunchbed.backends.simulation.loop import SimulatedLoop
from crunchbed.backends.simulation.memory import SimulatedMemory
from crunchbed.backends.simulation.network import SimulatedNetwork
from crunchbed.backends.simulation.packet import TCP, UDP, Classes, Datagram, udp
from crunchbed.backends.simulation.tcp import TcpSocket
from crunchbed.backends.simulation.tcp_packet import Ends, TcpPacket, refusal
from crunchbed.backends.simulation.tcp_rules import ACK_SEGMENTS
from reserve_agent.contract.packets import SOCK_MEMALLOC, SOCK_WRITEBACK, PortRule
from reserve_agent.model.sockets import Socket

KERNEL_SEND_BUFFER: Final = 64 * 1024
"""SO_SNDBUF of a machine's NBD. The initiator of namespaces has room for its whole queue."""
_FIRST_PORT: Final = 32768
"""Of the ports that connections come from (net.ipv4.ip_local_port_range)."""


@dataclass
class UdpSocket:
    """A port that datagrams come to, and who is told of them."""

    port: int
    received: Callable[[Datagram], None]
    books: Books | None


class Host:
    """One host; ``memory`` is None for the storage host, which is never short of it.

    Attributes:
        name: As in the history.
        loop: The run's.
        network: The network that it is on.
        addresses: Its IPv4 addresses; a switch may bring packets for others.
        neighbours: Whose hardware addresses it knows.
        acknowledged_together: TCP segments that it sends one acknowledgement for.
    """

    def __init__(
        self,
        name: str,
        loop: SimulatedLoop,
        network: SimulatedNetwork,
        rules: tuple[PortRule, ...],
        memory: SimulatedMemory | None = None,
    ) -> None:
        self.name = name
        self.loop = loop
        self.network = network
        self.memory = memory
        self.acknowledged_together = ACK_SEGMENTS
        self.addresses = self._own_addresses()
        self._classes = Classes(rules)
        self._flags = {(rule.protocol, rule.port): rule.flags for rule in rules}
        self.neighbours = Neighbours(loop, self.send)
        self._ports = itertools.count(_FIRST_PORT)
        self._udp: dict[int, UdpSocket] = {}
        self._tcp: dict[tuple[int, str, int], TcpSocket] = {}
        self._listeners: dict[int, Callable[[TcpSocket], None]] = {}
        network.arrive[name] = self._arrive
        network.lost[name] = (lambda _packet: None) if memory is None else memory.loses

    def _own_addresses(self) -> set[str]:
        return {link.ip for link in self.network.layout(self.name).links}

    def address(self, network: str) -> str:
        """Return its address on a network."""
        return self.network.address(self.name, network)

    # --- sockets

    def _books(self, socket: Socket, protocol: int, port: int, peer_port: int = 0) -> Books | None:
        if self.memory is None:
            return None
        cls = self._classes.of(protocol, port, peer_port)
        name = {TCP: "tcp", UDP: "udp"}[protocol]
        return self.memory.open(Books(socket, name, cls, port, peer_port))

    def bind(
        self,
        port: int,
        received: Callable[[Datagram], None],
        *,
        memalloc: bool = False,
        stalled: bool = False,
        realtime: bool = False,
        receive_buffer: int = 0,
    ) -> UdpSocket:
        """Open a UDP port.

        Args:
            port: Its number.
            received: Told of each datagram, or of several at once (``Datagram.frames``).
            memalloc: Whether the socket may draw on the reserve.
            stalled: Whether its reader does not read.
            realtime: Whether a real-time task writes to it.
            receive_buffer: Bytes of truesize that it may hold; 0: the kernel's default.
        """
        socket = Socket(realtime=realtime, receive_buffer=receive_buffer)
        if self.memory is not None:
            self.memory.model.flag(socket, memalloc)
            self.memory.model.stall(socket, stalled)
        self._udp[port] = UdpSocket(port, received, self._books(socket, UDP, port))
        return self._udp[port]

    def connect(self, peer: str, peer_port: int, network: str) -> TcpSocket:
        """Return a socket that asks for a connection once somebody calls ``connect``."""
        flags = self._flags.get((TCP, peer_port), 0)
        socket = Socket(writeback=bool(flags & SOCK_WRITEBACK))
        if flags & SOCK_MEMALLOC and self.memory is not None:
            self.memory.model.flag(socket, True)
        port, cls = next(self._ports), self._classes.of(TCP, peer_port)
        ends = Ends(self.address(network), port, peer, peer_port, cls)
        made = self._open(ends, socket)
        if self.memory is not None and self.memory.model.kernel.buffers is not None:
            made.send_buffer = KERNEL_SEND_BUFFER
        return made

    def _open(self, ends: Ends, socket: Socket) -> TcpSocket:
        books = self._books(socket, TCP, ends.port, ends.peer_port)
        made = self._tcp[ends.port, ends.peer, ends.peer_port] = TcpSocket(self, ends, books)
        return made

    def listen(self, port: int, accepted: Callable[[TcpSocket], None] | None) -> None:
        """Take connections to a port, and tell of each; None: take none any more."""
        if accepted is None:
            self._listeners.pop(port, None)
        else:
            self._listeners[port] = accepted

    def forget(self, socket: TcpSocket) -> None:
        """A TCP socket is gone."""
        ends = socket.ends
        self._tcp.pop((ends.port, ends.peer, ends.peer_port), None)
        if socket.books is not None and self.memory is not None:
            self.memory.close(socket.books)

    def vanish(self) -> None:
        """The host has lost its power: all its sockets are gone, and nobody is told."""
        for socket in self._tcp.values():
            socket.vanish()
        for sockets in (self._tcp, self._udp, self._listeners):
            sockets.clear()
        self.addresses = self._own_addresses()
        self.neighbours.reset()

    # --- packets

    def send_to(
        self,
        socket: UdpSocket,
        source: str,
        destination: str,
        length: int,
        *,
        port: int | None = None,
        frames: int = 1,
        payload: Any = None,
        tag: str = "",
        spread_ns: int = 0,
    ) -> int | None:
        """Send a datagram, or several in ``spread_ns``, to the same port elsewhere or another one.

        Returns when the last has left the interface; None where it found no pages.
        """
        packet = udp(
            self._classes,
            length,
            socket.port,
            port or socket.port,
            source=source,
            destination=destination,
            frames=frames,
            payload=payload,
            tag=tag,
            spread_ns=spread_ns,
        )
        return self.send(packet, socket.books)

    def send(self, packet: Datagram, books: Books | None) -> int | None:
        """Send a packet; returns when it has left the interface, None where it found no pages."""
        if not self.neighbours.knows(packet.destination) and packet.type != ARP:
            self.neighbours.ask_first(packet, books)
            return self.loop.now_ns()
        if self.memory is None or self.memory.leaves(packet, books):
            return self.network.send(self.name, packet)
        if packet.frames == 1:
            return None
        sent = [self.send(frame, books) for frame in packet.apart()]
        return max((leaves for leaves in sent if leaves is not None), default=None)

    def _arrive(self, packet: Datagram) -> None:
        """The first frame of a packet is here; the others come within ``spread_ns``."""
        mine = packet.destination in self.addresses
        socketless = not mine or packet.type == ARP
        if self.memory is None or self.memory.comes_calmly(
            packet, self._books_of(packet), socketless=socketless
        ):
            if not mine:
                return
            if packet.spread_ns and packet.protocol == TCP:
                self._later(packet.spread_ns, partial(self._hand, packet))
            else:
                self._hand(packet)
        elif packet.frames == 1:
            self._judge(packet)
        else:
            gaps = packet.frames - 1
            for number, frame in enumerate(packet.apart()):
                self._later(packet.spread_ns * number // gaps, partial(self._judge, frame))

    def _later(self, ns: int, call: Callable[[], None]) -> None:
        self.loop.at(self.loop.now_ns() + ns, call)

    def _judge(self, frame: Datagram) -> None:
        mine, books = frame.destination in self.addresses, self._books_of(frame)
        socketless = not mine or frame.type == ARP
        passed = self.memory is None or self.memory.comes(frame, books, socketless=socketless)
        if passed and mine:
            self._hand(frame)

    def _books_of(self, packet: Datagram) -> Books | None:
        if isinstance(packet, TcpPacket):
            socket = self._tcp.get((packet.port, packet.source, packet.source_port))
            return None if socket is None else socket.books
        found = self._udp.get(packet.port)
        return None if found is None else found.books

    def _hand(self, packet: Datagram) -> None:
        """Hand a packet to its socket."""
        if packet.type == ARP:
            self.neighbours.heard(packet)
        elif not isinstance(packet, TcpPacket):
            if (bound := self._udp.get(packet.port)) is not None:
                bound.received(packet)
        else:
            self._hand_segment(packet)

    def _hand_segment(self, packet: TcpPacket) -> None:
        socket = self._tcp.get((packet.port, packet.source, packet.source_port))
        if socket is not None:
            socket.arrive(packet)
        elif packet.syn and (accepted := self._listeners.get(packet.port)) is not None:
            self._accept(packet, accepted)
        elif not packet.rst:
            self.send(refusal(packet), None)

    def _accept(self, packet: TcpPacket, accepted: Callable[[TcpSocket], None]) -> None:
        ends = Ends(packet.destination, packet.port, packet.source, packet.source_port, packet.cls)
        socket = self._open(ends, Socket())
        socket.accept()
        accepted(socket)
