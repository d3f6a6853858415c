"""One node of the levels table by the reference model: 1.5 s at a level, heartbeats and writes.

As on the machines that the table is from: a heartbeat comes and one leaves every 100 ms; two
writers each write 16 KiB to NBD, wait for the reply, and pause for 10 ms: some 170 writes a second.
A write brings four packets, three acknowledgements and the reply. The table does not say that
number, but it follows: without flags at 1/4 of min, a ring of 256 buffers lasted for 62 to 69
writes and 4 heartbeats on e1000e. A reply that is lost comes again after 0.2 s, then twice that, as
TCP has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

from reserve_agent.contract.packets import Policy
from reserve_agent.model.node import NodeModel
from reserve_agent.model.pool import Window
from reserve_agent.model.profiles.card import Card
from reserve_agent.model.profiles.kernel import Kernel, Ratio
from reserve_agent.model.sockets import Socket
from tests.unit.model_steps import BEAT, BLOCK, OTHER, RULES, datagram, segment

MS = 1_000_000
RESERVE = 210
DUE = 15
LENGTH = 1500 * MS
BEGIN = 500 * MS
END = BEGIN + LENGTH
WRITE = 16_384 + 28
REPLY_AFTER = 1800_000
ACKNOWLEDGED_AFTER = (600_000, 1_000_000, 1_400_000)


@dataclass
class LevelRun:
    """What came of one cell.

    Attributes:
        heard: Times of heartbeats that were received.
        sent: Heartbeats that left in the window.
        written: Times of replies that were received.
    """

    kernel: Kernel
    card: Card
    flags: str
    level: Ratio
    heard: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    sent: int = 0
    _due: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)
    _calls: int = 0
    _end: int = 0

    def __post_init__(self) -> None:
        policy = Policy.NONE if self.flags == "none" else Policy.MEMALLOC
        self.model = NodeModel(RULES, policy=policy, kernel=self.kernel, card=self.card)
        pool = self.model.pool
        pool.resize(8192, RESERVE)
        self.model.reset(4000)
        pool.windows = (Window(BEGIN, END, self.level.of(RESERVE)),)
        self.beat, self.block = Socket(realtime=True), Socket(writeback=True)
        for name, socket in (("hb", self.beat), ("block", self.block)):
            if name in self.flags.split("+"):
                self.model.flag(socket, True)

    def at(self, when: int, call: Callable[[int], None]) -> None:
        """Call at a time."""
        self._calls += 1
        heappush(self._due, (when, self._calls, call))

    def run(self, after: int = 0) -> LevelRun:
        """To the end of the window, and ``after`` ns on."""
        self.at(50 * MS, self._beat)
        for writer in range(2):
            self.at(writer * 4 * MS, self._write)
        while self._due:
            now, _, call = heappop(self._due)
            if now < END + after:
                call(now)
        return self

    def _hears(self, frame: bytes, socket: Socket, now: int) -> bool:
        mark = self.model.receive(frame, now)
        return mark is not None and self.model.deliver(frame, mark, socket, now)

    def _beat(self, now: int) -> None:
        frame = datagram(BEAT, 64)
        if self._hears(frame, self.beat, now):
            self.heard.append(now)
        if self.model.transmit(frame, self.beat, now) and BEGIN <= now < END:
            self.sent += 1
        self.at(now + 100 * MS, self._beat)

    def _write(self, now: int) -> None:
        frame = segment((OTHER, BLOCK), self._end, 1, 1448)
        if not self.model.transmit(frame, self.block, now, WRITE - 1448):
            self.at(now + 200 * MS, self._write)
            return
        begin, self._end = self._end, self._end + WRITE
        for part, after in enumerate(ACKNOWLEDGED_AFTER, 1):
            self.at(now + after, partial(self._acknowledged, begin + WRITE * part // 4))
        self.at(now + REPLY_AFTER, partial(self._reply, self._end, 200 * MS))

    def _acknowledged(self, number: int, now: int) -> None:
        self._hears(segment((BLOCK, OTHER), 7, number), self.block, now)

    def _reply(self, number: int, again: int, now: int) -> None:
        if self._hears(segment((BLOCK, OTHER), 7, number, 16), self.block, now):
            self.written.append(now)
            self.at(now + 10 * MS, self._write)
        else:
            self.at(now + again, partial(self._reply, number, 2 * again))

    @property
    def heartbeats(self) -> int:
        """Heard in the window."""
        return sum(BEGIN <= when < END for when in self.heard)

    @property
    def writes(self) -> int:
        """Acknowledged in the window."""
        return sum(BEGIN <= when < END for when in self.written)

    @property
    def silence(self) -> int:
        """Longest time between two heartbeats, in ns."""
        return max(b - a for a, b in zip(self.heard, self.heard[1:], strict=False))
