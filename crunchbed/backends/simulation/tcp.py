"""TCP as far as the failure needs it: segments, acknowledgements, and what the want of them does.

Both ends of a connection are a ``TcpSocket``. What an application writes is a number of bytes and
the message that they carry; the message is there once all its bytes are. Sequence numbers count
from 1 and do not wrap. Not here: Nagle's delay, a receive window that changes, tail loss probes,
and an orderly end (a connection that one end closes is gone for both).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from crunchbed.backends.simulation.books import Books
from crunchbed.backends.simulation.loop import SimulatedLoop, Timer
from crunchbed.backends.simulation.packet import Datagram
from crunchbed.backends.simulation.tcp_packet import HEADERS, MSS, Ends, TcpPacket, blank
from crunchbed.backends.simulation.tcp_rules import (
    DELAYED_ACK_NS,
    GIVE_UP_NS,
    LEAST_FULL,
    LOCAL_PROBE_NS,
    Arrived,
    TimeOut,
    Window,
)
from reserve_agent.model.packet import Segment

QUEUED_BYTES: Final = 20 * 1024
"""What a socket keeps in its interface's queue: a few milliseconds (``tcp_small_queue_check``)."""
AT_ONCE: Final = 4 * MSS
"""Where more is to be sent, a sender waits for room for so much: fewer values stand for as many
segments."""
_ALL: Final = 1 << 40


class Stack(Protocol):
    """The host of a socket."""

    loop: SimulatedLoop
    acknowledged_together: int

    def send(self, packet: Datagram, books: Books | None) -> int | None:
        """Send a packet; returns when it has left the interface, None where it found no pages."""

    def forget(self, socket: TcpSocket) -> None:
        """A socket is gone."""


class TcpSocket:
    """One end of a connection.

    Attributes:
        connected: Told once the other end has answered.
        received: Told of each message.
        lost: Told why there is no connection any more; not where this end has closed it.
        open: Whether there is a connection.
        send_buffer: Bytes that the socket has of what was written; the rest still is its writer's.
    """

    def __init__(self, stack: Stack, ends: Ends, books: Books | None) -> None:
        self.ends = ends
        self.books = books
        self.send_buffer = _ALL
        self.connected: Callable[[], None] = lambda: None
        self.received: Callable[[Any], None] = lambda _message: None
        self.lost: Callable[[str], None] = lambda _reason: None
        self.open = False
        self._stack = stack
        self._loop = stack.loop
        self._gone = False
        self._blank = blank(ends)
        # What it sends: acknowledged before _una, sent before _next, written before _end.
        self._una = self._next = self._end = 1
        self._messages: deque[tuple[int, Any]] = deque()
        self._window = Window()
        self._time_out = TimeOut()
        self._timed: tuple[int, int] | None = None  # end of a segment, and when it was sent
        self._waits_since: int | None = None  # when the oldest data was sent that is not answered
        self._leaving: deque[tuple[int, int]] = deque()  # when bytes leave the interface
        self._queued = 0  # those that have not left it yet
        self._retransmit = Timer(self._loop, self._no_answer)
        self._pushes = Timer(self._loop, self._push)
        # What it receives.
        self._arrived = Arrived()
        self._unanswered = 0  # segments that no acknowledgement was sent for, and
        self._unanswered_bytes = 0
        self._full = LEAST_FULL  # bytes of a full segment, as far as any was seen
        self._delayed = Timer(self._loop, self._acknowledge)

    # --- for applications

    def connect(self) -> None:
        """Ask the other end for a connection, again and again; who asks gives up."""
        self._stack.send(self._blank.changed(syn=True), self.books)
        self._retransmit.set(self._loop.now_ns() + self._time_out.ns)
        self._time_out.backoff += 1

    def accept(self) -> None:
        """Answer the request for a connection that has come."""
        self.open = True
        answer = self._blank.changed(syn=True, acknowledged=self._arrived.expected)
        self._stack.send(answer, self.books)

    def write(self, size: int, message: Any) -> None:
        """Send ``size`` bytes that carry a message."""
        if self._gone:
            return
        self._end += size
        self._messages.append((self._end, message))
        self._push()

    def close(self) -> None:
        """Have no connection any more; the other end is told once."""
        if not self._gone:
            self._stack.send(self._blank.changed(fin=True), self.books)
            self._drop()

    def vanish(self) -> None:
        """The host has lost its power: nobody is told."""
        self._gone, self.open = True, False
        for timer in (self._retransmit, self._pushes, self._delayed):
            timer.cancel()

    def _drop(self) -> None:
        self.vanish()
        self._stack.forget(self)

    def _break(self, reason: str) -> None:
        self._drop()
        self.lost(reason)

    # --- sending

    def _push(self) -> None:
        """Send what was written, as far as the window and the interface's queue go."""
        while self._next < self._end and self.open:
            now = self._loop.now_ns()
            while self._leaving and self._leaving[0][0] <= now:
                self._queued -= self._leaving.popleft()[1]
            left, in_flight = self._end - self._next, self._next - self._una
            if self._queued > QUEUED_BYTES - AT_ONCE:
                self._pushes.set(self._leaving[0][0])
                return
            size = min(left, self._window.bytes - in_flight, QUEUED_BYTES - self._queued)
            if size < min(left, AT_ONCE, self._window.bytes // 2) and in_flight:
                return  # an acknowledgement makes more room
            if size < left:
                size -= size % MSS
            self._send_data(self._next, size)
            self._next += size

    def _send_data(self, sequence: int, size: int) -> bool:
        """Send bytes; False where there were no pages for them."""
        frames, end = -(-size // MSS), sequence + size
        held = min(self._end, max(end, self._una + self.send_buffer))
        packet = self._blank.changed(
            bytes=HEADERS + -(-size // frames),
            frames=frames,
            segment=Segment(sequence, size, held - end),
            acknowledged=self._arrived.expected,
            payload=self,
        )
        self._unanswered = self._unanswered_bytes = 0
        self._delayed.cancel()
        now = self._loop.now_ns()
        leaves = self._stack.send(packet, self.books)
        if leaves is not None and leaves > now:
            self._leaving.append((leaves, size))
            self._queued += size
        if self._waits_since is None:
            self._waits_since = now
        if self._timed is None and sequence >= self._next:
            self._timed = (sequence + size, now)
        if not self._retransmit.is_set:
            self._retransmit.set(now + self._time_out.ns)
        return leaves is not None

    def _no_answer(self) -> None:
        """No answer in time: everything is sent again, from a window of one segment on."""
        if not self.open:
            self.connect()
            return
        now = self._loop.now_ns()
        if self._waits_since is not None and now - self._waits_since >= GIVE_UP_NS:
            self._break("Connection timed out")
            return
        self._window.collapse(self._next - self._una)
        self._time_out.backoff += 1
        self._timed = None
        self._retransmit.set(now + self._time_out.ns)
        self._next = self._una
        size = min(MSS, self._end - self._una)
        if not self._send_data(self._una, size):
            self._time_out.backoff -= 1
            self._retransmit.set(now + LOCAL_PROBE_NS)
        self._next = self._una + size

    def take_messages(self, end: int) -> list[Any]:
        """Return the messages whose bytes are all before ``end``; for the other end."""
        found = []
        while self._messages and self._messages[0][0] <= end:
            found.append(self._messages.popleft()[1])
        return found

    # --- receiving

    def arrive(self, packet: TcpPacket) -> None:
        """A packet has reached this socket."""
        if packet.rst or packet.fin:
            self._break("Connection reset by peer" if self.open else "Connection refused")
        elif packet.syn:
            self._synchronize(packet)
        elif self.open:
            if packet.acknowledged is not None:
                self._answered(packet.acknowledged, packet)
            if packet.segment.bytes and not self._gone:
                self._take(packet)

    def _synchronize(self, packet: TcpPacket) -> None:
        if packet.acknowledged is None:
            self.accept()  # the answer before was lost
            return
        if not self.open:
            self.open = True
            self._time_out.backoff = 0
            self._retransmit.cancel()
            self.connected()
        self._acknowledge()

    def _answered(self, number: int, packet: TcpPacket) -> None:
        """Everything before ``number`` has arrived."""
        in_flight = self._next - self._una
        if number > self._una:
            self._advance(number)
        elif number == self._una and in_flight and not packet.segment.bytes:
            lost = self._window.duplicate(packet.frames, in_flight, self._next)
            if lost:
                self._repeat(packet.far)
        self._push()

    def _advance(self, number: int) -> None:
        now, size, in_flight = self._loop.now_ns(), number - self._una, self._next - self._una
        self._una, self._next = number, max(self._next, number)
        self._time_out.backoff = 0
        if self._timed is not None and number >= self._timed[0]:
            self._time_out.measure(now - self._timed[1])
            self._timed = None
        if number >= self._next:
            self._waits_since = None
            self._retransmit.cancel()
        else:
            self._waits_since = now
            self._retransmit.set(now + self._time_out.ns)
        if self._window.grow(number, size, in_flight) and number < self._next:
            self._repeat(0)

    def _repeat(self, until: int) -> None:
        """Send the oldest segment again, or all that is missing before ``until``."""
        self._timed = None
        end = min(until or self._una + MSS, self._next)
        self._send_data(self._una, max(1, min(end - self._una, self._window.bytes)))

    def _take(self, packet: TcpPacket) -> None:
        begin, arrived = packet.segment.sequence, self._arrived
        had_holes = bool(arrived.far)
        if not arrived.add(begin, begin + packet.segment.bytes):
            self._acknowledge(frames=packet.frames)  # at once (RFC 5681, 4.2)
            return
        self._unanswered += packet.frames
        self._unanswered_bytes += packet.segment.bytes
        self._full = max(self._full, packet.segment.bytes // packet.frames)
        for message in packet.payload.take_messages(arrived.expected):
            self.received(message)
        if self._gone or not self._unanswered:
            return
        together = self._stack.acknowledged_together
        if had_holes or self._unanswered_bytes > self._full:
            step = min(together * MSS, packet.segment.bytes)
            frames = max(self._unanswered // together, 1)
            self._acknowledge(frames=frames, step=step)
        elif not self._delayed.is_set:
            self._delayed.set(self._loop.now_ns() + DELAYED_ACK_NS)

    def _acknowledge(self, frames: int = 1, step: int = 0) -> None:
        """Acknowledge some segments together, or what has waited for a second one."""
        self._unanswered = self._unanswered_bytes = 0
        self._delayed.cancel()
        packet = self._blank.changed(
            frames=frames,
            acknowledged=self._arrived.expected,
            step=step,
            far=self._arrived.far,
        )
        self._stack.send(packet, self.books)
