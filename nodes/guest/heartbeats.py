"""The heartbeats of one life of a guest.

Membership and detectors are those of every node (``HeartbeatNode``). They run here, beside the
guest, are fed by what the guest's agent has received and nothing else, and send by its socket only.
So a guest that hears nothing, says nothing or stands still looks to them as it would look to a
daemon in the guest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from nodes.guest.config import GuestHeartbeat
from nodes.guest.guest_clock import GuestClock
from nodes.guest.machine_link import MachineLink, News
from nodes.guest.outbox import Outbox
from nodes.guest.ring import dotted
from nodes.membership.fences import FenceAnswer
from nodes.membership.protocol import Datagram
from nodes.membership.rings import Arrival
from nodes.membership.turn import HeartbeatNode
from reserve_agent.contract.events.base import Event


class Fence(Protocol):
    """The node's side of the fence service; see ``FenceClient``."""

    def request(self, target: str, view: int) -> bool:
        """Ask for a node to be cut off."""

    def answers(self) -> list[FenceAnswer]:
        """Return the answers that have come."""


class HeartbeatsOfGuest:
    """A clock, a fence service and the guest's socket, around ``HeartbeatNode``.

    Args:
        settings: Of this life.
        link: To the guest.
        clock: The guest's.
        fence: Asks for other nodes to be cut off.
        record: Adds an event to the history.

    Attributes:
        channel_ns: Longest time from the reading of a packet by the guest's agent until it was
            here; whoever has taken the figure sets it to 0.
    """

    def __init__(
        self,
        settings: GuestHeartbeat,
        link: MachineLink,
        clock: GuestClock,
        fence: Fence,
        record: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._names = {peer.addresses[0]: name for name, peer in settings.peers.items()}
        self._link = link
        self._clock = clock
        self._fence = fence
        self._record = record
        self._outbox = Outbox(self._send, clock, settings.interval_ns)
        self._node: HeartbeatNode | None = None
        self.channel_ns = 0

    @property
    def running(self) -> bool:
        """Whether heartbeats are sent and judged."""
        return self._node is not None

    @property
    def settled(self) -> bool:
        """Whether the guest has all the memory that it keeps: the agent has, from its start on."""
        return True

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses of the peers."""
        return tuple(self._names)

    def begin(self, now_ns: int) -> None:
        """The node has booted."""
        self._node = HeartbeatNode(self._settings, now_ns)
        self._record_all(self._node.started(now_ns))

    def stop(self) -> None:
        """Send and judge nothing any more."""
        self._node = None

    def _send(self, datagram: Datagram) -> int | None:
        to = tuple(self._settings.peers[name].addresses[0] for name in datagram.to)
        return self._link.send(datagram.payload, self._settings.port, to)

    def take(self, news: News, now_ns: int, heard_ns: int) -> None:
        """Record what the guest has sent, and do what is due.

        Args:
            news: All that had come by ``now_ns``, or a little more.
            now_ns: The time before the guest was asked for news.
            heard_ns: The time after that.
        """
        for number, answer in news.sent:
            self._record_all(self._outbox.answered(number, answer, heard_ns))
        self._record_all(self._outbox.expired(now_ns))
        if self._node is not None:
            self._turn(self._node, self._arrivals(news, heard_ns), now_ns)

    def _arrivals(self, news: News, heard_ns: int) -> list[Arrival]:
        found = []
        for received, payload in news.arrivals:
            at_ns = min(self._clock.host_ns(received.at_ns), heard_ns)
            # A daemon in the guest would have had it when the agent did.
            read_ns = self._clock.host_ns(received.read_ns)
            self.channel_ns = max(self.channel_ns, heard_ns - read_ns)
            found.append(Arrival(payload, self._names.get(dotted(received.from_), ""), at_ns))
        return found

    def _turn(self, node: HeartbeatNode, arrivals: list[Arrival], now_ns: int) -> None:
        answers = self._fence.answers()
        if not arrivals and not answers and now_ns < node.next_turn_ns():
            return
        turn = node.turn(now_ns, arrivals, answers)
        self._record_all(turn.events)
        for request in turn.fences:
            self._fence.request(request.target, request.view)
        self._record_all(self._outbox.send(turn.datagrams, now_ns))

    def close(self, now_ns: int) -> None:
        """The guest has no power any more."""
        self._node = None
        self._record_all(self._outbox.close(now_ns))

    def _record_all(self, events: Iterable[Event]) -> None:
        for event in events:
            self._record(event)
