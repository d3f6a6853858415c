"""TCP as far as the failure needs it: segments, acknowledgements, and what the want of them does.

Both ends of a connection are a ``TcpSocket``. What an application writes is a number of bytes and
the message that they carry; the message is there once all its bytes are. Sequence numbers count
from 1 and do not wrap. Sources are files and names of Linux 6.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from crunchbed.backends.simulation.loop import SimulatedLoop, Timer
from crunchbed.backends.simulation.memory import Books
from crunchbed.backends.simulation.packet import IPV4, TCP, Datagram
from reserve_agent.contract.packets import PacketClass
from reserve_agent.model.packet import Segment

MSS: Final = 1448
"""Payload of a full segment: 1500 bytes less the headers of IPv4 and of TCP with timestamps."""
HEADERS: Final = 14 + 20 + 32
INITIAL_WINDOW: Final = 10 * MSS
"""TCP_INIT_CWND (include/net/tcp.h)."""
INITIAL_RTO_NS: Final = 1_000_000_000
"""TCP_TIMEOUT_INIT, also that of a SYN."""
LEAST_RTO_NS: Final = 200_000_000
"""TCP_RTO_MIN."""
MOST_RTO_NS: Final = 120_000_000_000
"""TCP_RTO_MAX; each repetition doubles the time-out up to here (``tcp_retransmit_timer``)."""
GIVE_UP_NS: Final = 924_600_000_000
"""tcp_retries2 = 15 doublings of TCP_RTO_MIN (``retransmits_timed_out``): then ETIMEDOUT."""
DELAYED_ACK_NS: Final = 40_000_000
"""TCP_DELACK_MIN: how long an acknowledgement waits for a second segment or for data."""
DUPLICATES: Final = 3
"""Duplicate acknowledgements that have a segment sent again (RFC 5681, 3.2)."""
QUEUED_BYTES: Final = 16 * 1024
"""What a socket keeps in its interface's queue: a few milliseconds (``tcp_small_queue_check``)."""
AT_ONCE: Final = 4 * MSS
"""Where more is to be sent, a sender waits for room for so much: fewer values stand for as many
segments."""
MOST_WINDOW: Final = 1024 * 1024
"""A window grows no further; no link here holds so much."""


@dataclass(kw_only=True)
class TcpPacket(Datagram):
    """A segment, or several that follow each other.

    Attributes:
        syn: The sender opens a connection; ``rst`` and ``fin``: the sender has none any more.
        answers: Whether the sender has a connection, and so acknowledges something.
        step: Bytes between the acknowledgements of two of its frames.
        far: Bytes beyond the acknowledgement that have arrived too (SACK): their begin; 0: none.
    """

    syn: bool = False
    rst: bool = False
    fin: bool = False
    step: int = 0
    far: int = 0

    def apart(self) -> Sequence[Self]:
        """Return its frames one by one: data and acknowledgements go on from frame to frame."""
        return [self._nth(number) for number in range(self.frames)]

    def _nth(self, number: int) -> Self:
        data, acknowledged = self.segment, self.acknowledged
        if data.bytes:
            begin = number * MSS
            rest = data.bytes - begin
            data = Segment(data.sequence + begin, min(MSS, rest), data.queued + max(0, rest - MSS))
        elif acknowledged is not None:
            acknowledged -= (self.frames - 1 - number) * self.step
        size = HEADERS + data.bytes
        return self.changed(
            frames=1, spread_ns=0, segment=data, acknowledged=acknowledged, bytes=size
        )

    def first(self, frames: int) -> Self:
        """Return its first frames, at least one."""
        data, acknowledged = self.segment, self.acknowledged
        if data.bytes:
            data = Segment(data.sequence, min(data.bytes, frames * MSS), data.queued)
        elif acknowledged is not None:
            acknowledged -= (self.frames - frames) * self.step
        return self.changed(frames=frames, segment=data, acknowledged=acknowledged)


class Stack(Protocol):
    """The host of a socket."""

    loop: SimulatedLoop

    def send(self, packet: Datagram, books: Books | None) -> int | None:
        """Send a packet; returns when it has left the interface, None where it found no pages."""

    def forget(self, socket: TcpSocket) -> None:
        """A socket is gone."""


@dataclass(frozen=True)
class Ends:
    """Addresses and ports of a connection, as one of its ends sees them, and its class."""

    address: str
    port: int
    peer: str
    peer_port: int
    cls: PacketClass


class TcpSocket:
    """One end of a connection.

    Attributes:
        connected: Told once the other end has answered.
        received: Told of each message.
        lost: Told why there is no connection any more; not where this end has closed it.
        open: Whether there is a connection.
    """

    def __init__(self, stack: Stack, ends: Ends, books: Books | None) -> None:
        self.ends = ends
        self.books = books
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
        self._window = INITIAL_WINDOW
        self._threshold = MOST_WINDOW
        self._duplicates = 0
        self._recover = 0  # in recovery until this is acknowledged; 0: in none
        self._rto = INITIAL_RTO_NS
        self._backoff = 0
        self._srtt = self._rttvar = 0
        self._timed: tuple[int, int] | None = None  # end of a segment, and when it was sent first
        self._waits_since: int | None = None  # when the oldest data was sent that is not answered
        self._leaving: deque[tuple[int, int]] = deque()  # when bytes leave the interface
        self._queued = 0  # those that have not left it yet
        self._retransmit = Timer(self._loop, self._time_out)
        self._pushes = Timer(self._loop, self._push)
        # What it receives: all before ``_expected``, and some intervals beyond.
        self._expected = 1
        self._far: list[tuple[int, int]] = []
        self._unanswered = 0  # segments that no acknowledgement was sent for
        self._delayed = Timer(self._loop, self._acknowledge)

    # --- for applications

    def connect(self) -> None:
        """Ask the other end for a connection, again and again; who asks gives up."""
        self._send_flags(syn=True)
        self._retransmit.set(self._loop.now_ns() + (INITIAL_RTO_NS << self._backoff))
        self._backoff += 1

    def accept(self) -> None:
        """Answer the request for a connection that has come."""
        self.open = True
        self._send_flags(syn=True, acknowledged=self._expected)

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
            self._send_flags(fin=True)
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

    def _packet(self, **fields: Any) -> TcpPacket:
        return self._blank.changed(**fields)

    def _send_flags(self, acknowledged: int | None = None, **flags: bool) -> None:
        packet = self._packet(acknowledged=acknowledged, **flags)
        self._stack.send(packet, self.books)

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
            size = min(left, self._window - in_flight, QUEUED_BYTES - self._queued)
            if size < min(left, AT_ONCE, self._window // 2) and in_flight:
                return  # an acknowledgement makes more room
            if size < left:
                size -= size % MSS
            self._send_data(self._next, size)
            self._next += size

    def _send_data(self, sequence: int, size: int) -> None:
        frames = -(-size // MSS)
        behind = self._end - sequence - size
        packet = self._packet(
            bytes=HEADERS + -(-size // frames),
            frames=frames,
            segment=Segment(sequence, size, behind),
            acknowledged=self._expected,
            payload=self,
        )
        self._unanswered = 0
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
            self._retransmit.set(now + self._rto_now)

    @property
    def _rto_now(self) -> int:
        return min(self._rto << self._backoff, MOST_RTO_NS)

    def _time_out(self) -> None:
        """No answer in time: everything is sent again, from a window of one segment on."""
        if not self.open:
            self.connect()
            return
        now = self._loop.now_ns()
        if self._waits_since is not None and now - self._waits_since >= GIVE_UP_NS:
            self._break("Connection timed out")
            return
        self._threshold = max((self._next - self._una) // 2, 2 * MSS)
        self._window = MSS
        self._backoff += 1
        self._recover = self._duplicates = 0
        self._timed = None
        size = min(MSS, self._end - self._una)
        self._retransmit.set(now + self._rto_now)
        self._next = self._una
        self._send_data(self._una, size)
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
            return
        if packet.syn:
            self._synchronize(packet)
            return
        if not self.open:
            return
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
            self._backoff = 0
            self._retransmit.cancel()
            self.connected()
        self._acknowledge()

    def _answered(self, number: int, packet: TcpPacket) -> None:
        """Everything before ``number`` has arrived."""
        if number > self._una:
            self._advance(number)
        elif number == self._una < self._next and not packet.segment.bytes:
            self._duplicates += packet.frames
            if self._duplicates >= DUPLICATES and not self._recover:
                self._recover = self._next
                self._threshold = max((self._next - self._una) // 2, 2 * MSS)
                self._window = self._threshold
                self._repeat(packet.far)
        self._push()

    def _advance(self, number: int) -> None:
        now, size = self._loop.now_ns(), number - self._una
        self._una, self._next = number, max(self._next, number)
        self._duplicates = self._backoff = 0
        self._waits_since = None if number >= self._next else now
        if self._timed is not None and number >= self._timed[0]:
            self._measure(now - self._timed[1])
        if self._recover and number < self._recover:
            self._repeat(0)  # the next hole (RFC 6582)
        else:
            self._recover = 0
            grow = size if self._window < self._threshold else MSS * size // self._window
            self._window = min(self._window + grow, MOST_WINDOW)
        if number >= self._next:
            self._retransmit.cancel()
        else:
            self._retransmit.set(now + self._rto_now)

    def _measure(self, rtt: int) -> None:
        """RFC 6298, with the least time-out of ``tcp_rtt_estimator``."""
        self._timed = None
        if not self._srtt:
            self._srtt, self._rttvar = rtt, rtt // 2
        else:
            self._rttvar += (abs(self._srtt - rtt) - self._rttvar) // 4
            self._srtt += (rtt - self._srtt) // 8
        self._rto = min(self._srtt + max(4 * self._rttvar, LEAST_RTO_NS), MOST_RTO_NS)

    def _repeat(self, until: int) -> None:
        """Send the oldest segment again, or all that is missing before ``until``."""
        self._timed = None
        end = min(until or self._una + MSS, self._next)
        self._send_data(self._una, max(1, min(end - self._una, self._window)))

    def _take(self, packet: TcpPacket) -> None:
        begin, size = packet.segment.sequence, packet.segment.bytes
        end = begin + size
        if begin > self._expected or end <= self._expected:
            if end > self._expected:
                self._far = sorted([*self._far, (begin, end)])
            self._unanswered = 0
            self._acknowledge(frames=packet.frames)
            return
        self._expected = end
        had_holes = bool(self._far)
        while self._far and self._far[0][0] <= self._expected:
            self._expected = max(self._expected, self._far.pop(0)[1])
        self._unanswered += packet.frames
        for message in packet.payload.take_messages(self._expected):
            self.received(message)
        if had_holes:
            self._unanswered = max(2, self._unanswered)
        if not self._gone and self._unanswered:
            self._plan_answer(packet)

    def _plan_answer(self, packet: TcpPacket) -> None:
        """Acknowledge every second segment (RFC 5681, 4.2), or wait for the next one."""
        pairs = self._unanswered // 2
        if not pairs:
            self._delayed.set(self._loop.now_ns() + DELAYED_ACK_NS)
            return
        self._unanswered = 0
        step = min(2 * MSS, packet.segment.bytes)
        self._acknowledge(frames=pairs, spread_ns=packet.spread_ns, step=step)

    def _acknowledge(self, frames: int = 1, spread_ns: int = 0, step: int = 0) -> None:
        self._unanswered = 0
        self._delayed.cancel()
        packet = self._packet(
            frames=frames,
            spread_ns=spread_ns,
            acknowledged=self._expected,
            step=step,
            far=self._far[0][0] if self._far else 0,
        )
        self._stack.send(packet, self.books)


def blank(ends: Ends) -> TcpPacket:
    """Return a packet from one end of a connection to the other that says nothing."""
    return TcpPacket(
        cls=ends.cls,
        vm_aware=True,
        protocol=TCP,
        type=IPV4,
        bytes=HEADERS,
        source=ends.address,
        destination=ends.peer,
        source_port=ends.port,
        port=ends.peer_port,
    )


def refusal(packet: TcpPacket) -> TcpPacket:
    """Return the answer to a packet for a socket that there is not."""
    ends = Ends(packet.destination, packet.port, packet.source, packet.source_port, packet.cls)
    return blank(ends).changed(rst=True)
