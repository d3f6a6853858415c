"""A guest that is a Python object: it plays the other side of the shared memory.

Its agent answers commands, sends and receives datagrams, and writes; its module publishes counters
and holds windows. It may be deaf (it hears nothing), mute (what it sends fails, or vanishes) or
frozen (its programs stand still). Time is whatever the test's clock says.
"""

from __future__ import annotations

import ctypes as c
import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.guest import layout
from nodes.guest.layout import Counters, Kind, RingName, State, Window
from nodes.guest.messages import (
    Dirty,
    Done,
    Flag,
    FlagPort,
    Level,
    Login,
    Neighbour,
    Nvme,
    Received,
    Reserve,
    Send,
    Sent,
    Sink,
    Write,
    Written,
)
from nodes.guest.ring import Message, SharedMemory, dotted, network_address, network_port

MS = 1_000_000
TURN_NS = MS
PUBLISH_NS = 5 * MS
MIN_PAGES = 256
FREE_PAGES = 5000
WRITE_NS = 2 * MS
REACH_NS = 2 * MS
"""What the way down to a level takes."""
Deliver = Callable[[str, str, bytes], None]
"""From which address, to which, what."""


@dataclass
class Held:
    """A window that the module knows of."""

    number: int
    level: Level
    record: Window = field(default_factory=Window)


class FakeGuest:
    """One life of a guest.

    Args:
        memory: The shared memory, prepared for the boot.
        address: Its IPv4 address.
        now: The host's clock, nanoseconds.
        offset_ns: The host's clock minus the guest's.
        deliver: Carries its datagrams.
    """

    def __init__(
        self,
        memory: memoryview,
        address: str,
        now: Callable[[], int],
        offset_ns: int,
        deliver: Deliver,
    ) -> None:
        shared = SharedMemory(memory)
        self.memory = memory
        self.agent = shared.agent
        self.rings = {name: shared.ring(name) for name in RingName}
        self.writer_rings = [shared.ring(RingName.WRITER, n) for n in range(layout.WRITERS)]
        self.address = address
        self.deaf = self.frozen = self.panicked = False
        self.mute = ""
        self.flags: dict[int, int] = {}
        self.ports: dict[int, int] = {}
        self.logins: list[Login] = []
        self.nvmes: list[Nvme] = []
        self.neighbours: dict[str, bytes] = {}
        self.commands: list[Kind] = []
        self.refuses: dict[Kind, int] = {}
        self.frees_a_ms = 20
        self.sink = self.dirty_form = 0
        self.writes: Write | None = None
        self.target_answers = True
        self.counters = Counters(sequence=0, managed_pages=20_000, min_pages=MIN_PAGES)
        self.windows: list[Held] = []
        self._host_now = now
        self._offset_ns = offset_ns
        self._deliver = deliver
        self._turn_ns = self._publish_ns = self._write_ns = 0
        self._sequence = self._begun = self._ended = 0
        self._taken = 0
        self._stuck: list[Message] = []

    def now(self) -> int:
        """The guest's own clock."""
        return self._host_now() - self._offset_ns

    def boot(self) -> None:
        """The agent has begun its work."""
        self.agent.release = b"6.1.0-test-amd64"
        self.agent.ready_ns = self.now()
        self.agent.state = State.READY

    def fail(self, what: bytes, error: int) -> None:
        """There will be no agent."""
        self.agent.failure, self.agent.error = what, error
        self.agent.state = State.FAILED

    def run(self) -> None:
        """Whatever is due by now; to be called often."""
        now = self.now()
        if not self.panicked:
            self._hold(now)
            if now >= self._publish_ns:
                self._publish_ns = now + PUBLISH_NS
                self._publish(now)
        if self.frozen or self.agent.state != State.READY or now < self._turn_ns:
            return
        late = now - self.agent.now_ns if self.agent.now_ns else 0
        self.agent.late_ns = max(self.agent.late_ns, late)
        self.agent.now_ns, self.agent.turns = now, self.agent.turns + 1
        self._turn_ns = now + TURN_NS
        for message in self.rings[RingName.CONTROL].take():
            self._obey(message)
        for message in self.rings[RingName.SEND].take():
            self._send(message)
        self._write(now)

    # --- the agent

    def _obey(self, message: Message) -> None:
        kind = Kind(message.kind)
        self.commands.append(kind)
        result, value, ring = -self.refuses.get(kind, 0), 0, RingName.ANSWERS
        if kind is Kind.FLAG and not result:
            flag = Flag.from_buffer_copy(message.body)
            self.flags[flag.socket] = value = flag.value
        elif kind is Kind.FLAG_PORT:
            rule = FlagPort.from_buffer_copy(message.body)
            self.ports[int.from_bytes(bytes(rule.port), "big")] = rule.value
        elif kind is Kind.NEIGHBOUR:
            neighbour = Neighbour.from_buffer_copy(message.body)
            self.neighbours[dotted(neighbour.address)] = bytes(neighbour.mac)
        elif kind is Kind.LEVEL and not result:
            self.windows.append(Held(message.id, Level.from_buffer_copy(message.body)))
        elif kind is Kind.CALM:
            self._calm()
        elif kind is Kind.SINK:
            self.sink = int.from_bytes(bytes(Sink.from_buffer_copy(message.body).port), "big")
        elif kind is Kind.RESERVE:
            self.counters.min_pages = Reserve.from_buffer_copy(message.body).kib // 4
        elif kind is Kind.WRITE:
            write = Write.from_buffer_copy(message.body)
            self.writes = write if write.writers else None
        elif kind is Kind.LOGIN:
            ring = RingName.DISK
            self.logins.append(Login.from_buffer_copy(message.body))
        elif kind is Kind.NVME:
            ring = RingName.DISK
            self.nvmes.append(Nvme.from_buffer_copy(message.body))
        elif kind in (Kind.CONNECT, Kind.SWAP):
            ring = RingName.DISK
        elif kind is Kind.DIRTY:
            ring = RingName.TASK
            dirty = Dirty.from_buffer_copy(message.body)
            value = dirty.pages
            self.dirty_form = dirty.form if value else self.dirty_form
        self.rings[ring].put(Kind.DONE, message.id, bytes(Done(result, value, self.now())))

    def _send(self, message: Message) -> None:
        send = Send.from_buffer_copy(message.body)
        begin = c.sizeof(Send)
        payload = message.body[begin : begin + send.bytes]
        if self.mute == "vanish":
            return
        sent = Sent(begun_ns=self.now(), at_ns=self.now())
        if self.mute == "fail":
            sent.error = errno.ENOBUFS
        else:
            sent.reached = (1 << send.targets) - 1
            for n in range(send.targets):
                self._deliver(self.address, dotted(send.to[n]), payload)
        self.rings[RingName.SENT].put(Kind.SENT, message.id, bytes(sent))

    def receive(self, source: str, payload: bytes) -> None:
        """A datagram has come to its card."""
        if self.deaf or self.frozen:
            return
        now = self.now()
        received = Received(
            from_=network_address(source),
            port=network_port(7405),
            bytes=len(payload),
            at_ns=now,
            read_ns=now,
        )
        self.rings[RingName.RECEIVED].put(Kind.RECEIVED, 0, bytes(received) + payload)

    def _write(self, now: int) -> None:
        writing = self.agent.writing[0]
        if writing.begun_ns and self.target_answers and now >= writing.begun_ns + WRITE_NS:
            block = (writing.sequence - 1) * 4
            written = Written(writing.sequence, block, writing.begun_ns, now, 4, 0)
            writing.begun_ns = 0
            self.writer_rings[0].put(Kind.WRITTEN, 0, bytes(written))
            self._write_ns = now + (self.writes.pause_us * 1000 if self.writes else 0)
        if self.writes is not None and not writing.begun_ns and now >= self._write_ns:
            self._sequence += 1
            writing.sequence, writing.begun_ns = self._sequence, now

    def end_disk(self, error: int) -> None:
        """The kernel gives the block device up."""
        self.rings[RingName.DISK_ENDED].put(Kind.DONE, 0, bytes(Done(-error, 0, self.now())))

    # --- the module

    def _hold(self, now: int) -> None:
        if not self.windows:
            return
        held = self.windows[0]
        level, record = held.level, held.record
        if now < level.begin_ns:
            return
        if not record.begun_ns:
            record.id, record.asked_ns, record.begun_ns = held.number, level.begin_ns, now
            record.level_milli, record.hold_us = level.level_milli, level.hold_us
            record.requested_pages = MIN_PAGES * level.level_milli // 1000
            self._begun += 1
        elif not record.reached_ns and now >= record.begun_ns + REACH_NS:
            record.reached_ns = now
            record.reached_pages = record.low_pages = record.requested_pages
            record.taken_pages = FREE_PAGES - record.requested_pages
        elif record.reached_ns:
            if level.demand:
                record.refilled_pages = self.frees_a_ms * (now - record.reached_ns) // MS
            done = level.demand and record.refilled_pages >= level.demand
            if done or now >= record.reached_ns + level.hold_us * 1000:
                self._end_window(held, now)
        self._record(held)

    def _end_window(self, held: Held, now: int) -> None:
        record = held.record
        if not held.level.demand:  # an exact timer, which the steps of this stand-in are not
            now = min(now, record.reached_ns + held.level.hold_us * 1000)
        record.ended_ns, record.freed_ns = now, now + 1
        record.ended_pages = record.low_pages
        self._record(held)
        self._ended += 1
        self.windows.pop(0)

    def _calm(self) -> None:
        held = [one for one in self.windows if one.record.begun_ns]
        self.windows = held
        if held:
            self._end_window(held[0], self.now())

    def _record(self, held: Held) -> None:
        number = self._begun - 1
        size = c.sizeof(Window)
        at = layout.WINDOWS_AT + number % layout.WINDOWS * size
        self.memory[at : at + size] = bytes(held.record)

    def _publish(self, now: int) -> None:
        counters = self.counters
        record = self.windows[0].record if self.windows else Window()
        reached = bool(record.reached_ns)
        counters.free_pages = record.requested_pages if reached else FREE_PAGES
        counters.held_pages = record.taken_pages + record.refilled_pages if reached else 0
        counters.windows_begun, counters.windows_ended = self._begun, self._ended
        counters.at_ns = now
        counters.sequence += 1
        slot = counters.sequence % layout.COUNTERS_SLOTS * layout.COUNTERS_SLOT_BYTES
        at = layout.COUNTERS_AT + slot
        self.memory[at : at + c.sizeof(Counters)] = bytes(counters)

    def panic(self) -> None:
        """The last that anybody hears of it."""
        self.panicked = self.frozen = True
        for n in range(layout.COUNTERS_SLOTS):
            at = layout.COUNTERS_AT + n * layout.COUNTERS_SLOT_BYTES
            Counters.from_buffer(self.memory, at).panicked_ns = self.now()
