"""The neighbours of a simulated host: whose hardware address it knows, and how it asks.

Every host knows all others from its boot on. What makes it forget them is the fault ``arp-expiry``;
an entry that is used does not expire otherwise. Sources are net/core/neighbour.c and net/ipv4/arp.c
of Linux 6.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from crunchbed.backends.simulation.loop import SimulatedLoop, Timer
from crunchbed.backends.simulation.packet import Datagram
from reserve_agent.contract.packets import PacketClass

ARP: Final = 0x0806
FRAME_BYTES: Final = 42
RETRY_NS: Final = 1_000_000_000
"""``retrans_time`` of arp_tbl: a question is repeated after this."""
QUESTIONS: Final = 3
"""``mcast_probes``: after so many without an answer what waits is dropped."""
MOST_WAITING: Final = 101
"""About ``unres_qlen``: packets that wait for one address; the oldest is dropped for another."""

Send = Callable[[Datagram, Any], object]


@dataclass
class _Question:
    """An address that is asked for."""

    timer: Timer
    asked: int = 0
    waiting: list[tuple[Datagram, Any]] = field(default_factory=list)


class Neighbours:
    """The table of one host.

    Args:
        loop: The run's.
        send: Sends a packet whose receiver's hardware address is known, with its socket's books.
    """

    def __init__(self, loop: SimulatedLoop, send: Send) -> None:
        self._loop = loop
        self._send = send
        self._knows_all = True
        self._known: set[str] = set()
        self._questions: dict[str, _Question] = {}

    def forget(self) -> None:
        """Know nobody any more."""
        self._knows_all = False
        self._known.clear()

    def reset(self) -> None:
        """The host has lost its power."""
        for question in self._questions.values():
            question.timer.cancel()
        self._questions.clear()
        self._knows_all = True

    @property
    def knows_all(self) -> bool:
        """Whether nobody has to be asked for."""
        return self._knows_all

    def knows(self, address: str) -> bool:
        """Whether the hardware address of a neighbour is known."""
        return self._knows_all or address in self._known

    def ask_first(self, packet: Datagram, books: Any) -> None:
        """Keep a packet until the address of its receiver is known."""
        address = packet.destination
        question = self._questions.get(address)
        if question is None:
            timer = Timer(self._loop, lambda: self._ask(address, packet.source))
            question = self._questions[address] = _Question(timer)
            self._ask(address, packet.source)
        question.waiting.append((packet, books))
        del question.waiting[:-MOST_WAITING]

    def _ask(self, address: str, source: str) -> None:
        question = self._questions[address]
        if question.asked == QUESTIONS:
            del self._questions[address]  # the next packet asks anew
            return
        question.asked += 1
        question.timer.set(self._loop.now_ns() + RETRY_NS)
        self._send(arp(source, address, broadcast=True), None)

    def heard(self, packet: Datagram) -> None:
        """A question or an answer for this host has come: its sender is known from here on."""
        self._known.add(packet.source)
        question = self._questions.pop(packet.source, None)
        if question is not None:
            question.timer.cancel()
            for waiting, books in question.waiting:
                self._send(waiting, books)
        if packet.broadcast:
            self._send(arp(packet.destination, packet.source, broadcast=False), None)


def arp(source: str, destination: str, *, broadcast: bool) -> Datagram:
    """Return a question of ``source`` for the address of ``destination``, or an answer to it."""
    return Datagram(
        cls=PacketClass.CONTROL,
        vm_aware=True,
        type=ARP,
        bytes=FRAME_BYTES,
        source=source,
        destination=destination,
        source_port=0,
        port=0,
        broadcast=broadcast,
    )
