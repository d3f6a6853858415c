"""The memory that a guest shares with its host, as the host reads and writes it.

Whoever has the memory (a file that QEMU maps too) hands it over as one writable buffer. Nothing
here waits: the host looks again. One process at a time may write commands and read events.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterator
from typing import Final, NamedTuple

from nodes.guest.layout import (
    AGENT_AT,
    COROSYNC_AT,
    COROSYNC_BYTES,
    COUNTERS_AT,
    COUNTERS_SLOT_BYTES,
    COUNTERS_SLOTS,
    DATA_AT,
    MAGIC,
    MAX_PAYLOAD,
    MAX_TARGETS,
    PROBED_AT,
    RING_BYTES,
    RINGS_AT,
    SHARED_BYTES,
    VERSION,
    WINDOWS,
    WINDOWS_AT,
    Agent,
    Corosync,
    Counters,
    Header,
    Kind,
    Probed,
    RingControl,
    RingName,
    Window,
)
from nodes.guest.messages import Received, Send
from reserve_agent.errors import CrunchbedError

_HEADER: Final = c.sizeof(Header)
_LEAST_PAD: Final = 8
_ATTEMPTS: Final = 3
"""Both slots change while they are read only if the reader is stopped twice, for 5 ms each."""


class BrokenRing(CrunchbedError):
    """A ring holds what no guest of this version writes."""


class Message(NamedTuple):
    """One message; ``body`` has up to 7 bytes of padding at its end."""

    kind: int
    id: int
    body: bytes


class Ring:
    """One ring; its reader and its writer are in different machines.

    Args:
        memory: The shared memory.
        number: ``RingName``, or a number after ``RingName.WRITER``.
    """

    def __init__(self, memory: memoryview, number: int) -> None:
        at = RINGS_AT + number * c.sizeof(RingControl)
        self._control = RingControl.from_buffer(memory, at)
        begin = DATA_AT + number * RING_BYTES
        self._data = memory[begin : begin + RING_BYTES]

    @property
    def lost(self) -> int:
        """Messages that the writer threw away since there was no room."""
        return int(self._control.lost)

    def put(self, kind: int, ident: int, body: bytes = b"") -> bool:
        """Write one message; returns False, and counts it as lost, where there is no room."""
        size = (_HEADER + len(body) + 7) & ~7
        head = self._control.head
        left = RING_BYTES - head % RING_BYTES
        pad = left if left < size else 0
        if head + pad + size - self._control.tail > RING_BYTES:
            self._control.lost += 1
            return False
        if pad:
            self._write(head, bytes(Header(pad, Kind.PAD))[:pad])
        self._write(head + pad, (bytes(Header(size, kind, 0, ident)) + body).ljust(size, b"\0"))
        self._control.head = head + pad + size
        return True

    def _write(self, position: int, data: bytes) -> None:
        at = position % RING_BYTES
        self._data[at : at + len(data)] = data

    def take(self) -> Iterator[Message]:
        """Read every message that waits.

        Raises:
            BrokenRing: What is there is no message.
        """
        while (tail := self._control.tail) != self._control.head:
            at = tail % RING_BYTES
            start = bytes(self._data[at : at + _HEADER]).ljust(_HEADER, b"\0")
            header = Header.from_buffer_copy(start)
            least = _LEAST_PAD if header.kind == Kind.PAD else _HEADER
            room = min(self._control.head - tail, RING_BYTES - at)
            if not least <= header.bytes <= room or header.bytes % 8:
                raise BrokenRing(f"message of {header.bytes} bytes where {room} are")
            body = bytes(self._data[at + _HEADER : at + header.bytes])
            self._control.tail = tail + header.bytes
            if header.kind != Kind.PAD:
                yield Message(header.kind, header.id, body)

    def skip(self) -> None:
        """Throw away what waits: after a ``BrokenRing`` nobody knows where messages begin."""
        self._control.tail = self._control.head


class SharedMemory:
    """All of the memory.

    Args:
        memory: Its ``SHARED_BYTES`` bytes, writable.
    """

    def __init__(self, memory: memoryview) -> None:
        if len(memory) != SHARED_BYTES:
            raise ValueError(f"{len(memory)} bytes instead of {SHARED_BYTES}")
        self._memory = memory
        self.agent = Agent.from_buffer(memory, AGENT_AT)

    def prepare(self) -> None:
        """Clear it for a boot."""
        self._memory[:] = bytes(SHARED_BYTES)
        self.agent.version = VERSION
        self.agent.magic = MAGIC

    def tell_corosync(self, nodes: int, ident: int, links: int, configuration: str) -> None:
        """Say what the guest's corosync is told at the boot.

        Args:
            nodes: How many nodes there are; their ids count from 1.
            ident: Id of this node.
            links: How many of knet's links lead to each peer.
            configuration: Text of corosync.conf.

        Raises:
            ValueError: The text is too long.
        """
        text = configuration.encode()
        if len(text) > COROSYNC_BYTES:
            raise ValueError(f"a configuration of {len(text)} bytes")
        told = Corosync(nodes, ident, links, len(text), text)
        self._memory[COROSYNC_AT : COROSYNC_AT + c.sizeof(told)] = bytes(told)

    def ring(self, name: RingName, writer: int = 0) -> Ring:
        """Return a ring; ``writer`` counts from 0 and is for ``RingName.WRITER``."""
        return Ring(self._memory, name + writer)

    def counters(self) -> Counters | None:
        """Return the newest counters that the module has published; None: none yet."""
        for _ in range(_ATTEMPTS):
            slots = [self._slot(number) for number in range(COUNTERS_SLOTS)]
            whole = [slot for slot in slots if slot is not None]
            if whole:
                return max(whole, key=lambda counters: int(counters.sequence))
        return None

    def _slot(self, number: int) -> Counters | None:
        at = COUNTERS_AT + number * COUNTERS_SLOT_BYTES
        copy = Counters.from_buffer_copy(self._memory, at)
        same = Counters.from_buffer(self._memory, at).sequence == copy.sequence
        return copy if same and copy.sequence else None

    def window(self, ident: int) -> Window | None:
        """Return the record of the window that a ``Kind.LEVEL`` of this id began; None: not yet.

        The last ``WINDOWS`` are there. The record is whole once its ``freed_ns`` is not 0.
        """
        size = c.sizeof(Window)
        for at in range(WINDOWS_AT, WINDOWS_AT + WINDOWS * size, size):
            record = Window.from_buffer_copy(self._memory, at)
            if record.begun_ns and record.id == ident:
                return record
        return None

    def probed(self) -> Probed:
        """Return what the last ``Kind.PROBE`` that was answered has found."""
        return Probed.from_buffer_copy(self._memory, PROBED_AT)


def datagram(payload: bytes, port: int, to: tuple[str, ...]) -> bytes:
    """Return the body of a ``Kind.SEND``.

    Args:
        payload: At most ``MAX_PAYLOAD`` bytes.
        port: UDP port of all targets.
        to: IPv4 addresses, at most ``MAX_TARGETS``.

    Raises:
        ValueError: More than that.
    """
    if len(payload) > MAX_PAYLOAD or len(to) > MAX_TARGETS:
        raise ValueError(f"{len(payload)} bytes for {len(to)} targets")
    send = Send(bytes=len(payload), port=network_port(port), targets=len(to))
    for index, address in enumerate(to):
        send.to[index] = network_address(address)
    return bytes(send) + payload


def arrival(body: bytes) -> tuple[Received, bytes]:
    """Return what the body of a ``Kind.RECEIVED`` says, and the datagram's payload."""
    received = Received.from_buffer_copy(body)
    begin = c.sizeof(Received)
    return received, body[begin : begin + received.bytes]


def network_address(address: str) -> c.Array[c.c_uint8]:
    """Return an IPv4 address in network byte order."""
    return (c.c_uint8 * 4)(*(int(part) for part in address.split(".")))


def network_port(port: int) -> c.Array[c.c_uint8]:
    """Return a port in network byte order."""
    return (c.c_uint8 * 2)(*port.to_bytes(2, "big"))


def dotted(address: c.Array[c.c_uint8]) -> str:
    """Return an IPv4 address as text."""
    return ".".join(str(byte) for byte in address)
