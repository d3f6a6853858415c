"""Datagrams that the guest is to send, and what is reported of each. Pure.

A daemon in the guest would wait where the kernel makes its sender wait, and would send nothing else
meanwhile. Here whatever the guest has not sent after ``patience`` has failed, and so has all that
is to be sent until its sender goes on: a guest that stands still must not say later, all at once,
what it could not say in time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from nodes.guest.guest_clock import GuestClock
from nodes.guest.messages import Sent
from nodes.membership.protocol import Datagram
from nodes.membership.turn import sent
from reserve_agent.contract.events.heartbeats import HeartbeatSent

Send = Callable[[Datagram], int | None]


class Outbox:
    """Hands datagrams to the guest, and reports them in the order of their numbers.

    Args:
        send: Hands one over; returns its number, or None where there is no room.
        clock: The guest's.
        patience_ns: How long the guest may take to send a datagram.
    """

    def __init__(self, send: Send, clock: GuestClock, patience_ns: int) -> None:
        self._send = send
        self._clock = clock
        self._patience_ns = patience_ns
        self._waiting: dict[int, tuple[int, Datagram]] = {}
        self._overdue: set[int] = set()

    def send(self, datagrams: Sequence[Datagram], now_ns: int) -> list[HeartbeatSent]:
        """Hand datagrams over; returns what is to be reported of those that fail at once."""
        failed = []
        for datagram in datagrams:
            number = None if self._overdue else self._send(datagram)
            if number is None:
                failed += [*self._give_up(list(self._waiting), now_ns), _failed(datagram, now_ns)]
            else:
                self._waiting[number] = (now_ns, datagram)
        return failed

    def answered(self, number: int, answer: Sent, heard_ns: int) -> list[HeartbeatSent]:
        """Take in what came of a datagram; one that was overdue has been reported already."""
        self._overdue.discard(number)
        if number not in self._waiting:
            return []
        _, datagram = self._waiting.pop(number)
        if not answer.at_ns:
            return [_failed(datagram, heard_ns)]
        took = [name for place, name in enumerate(datagram.to) if answer.reached >> place & 1]
        failed = [name for name in datagram.to if name not in took]
        at_ns = min(self._clock.host_ns(answer.at_ns), heard_ns)
        return [sent(datagram, at_ns, took, failed)]

    def expired(self, now_ns: int) -> list[HeartbeatSent]:
        """Return what is to be reported of datagrams that the guest should have sent by now."""
        limit = now_ns - self._patience_ns
        late = [number for number, (put_ns, _) in self._waiting.items() if put_ns < limit]
        return self._give_up(late, now_ns)

    def close(self, now_ns: int) -> list[HeartbeatSent]:
        """The guest has no power any more: what it has not said to be sent has failed."""
        return self._give_up(list(self._waiting), now_ns)

    def _give_up(self, numbers: Collection[int], now_ns: int) -> list[HeartbeatSent]:
        self._overdue.update(numbers)
        return [_failed(self._waiting.pop(number)[1], now_ns) for number in numbers]


def _failed(datagram: Datagram, at_ns: int) -> HeartbeatSent:
    return sent(datagram, at_ns, [], list(datagram.to))
