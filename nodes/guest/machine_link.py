"""What host and guest tell each other: commands with their answers, and what the guest reports.

Nothing here waits: ``poll`` returns what has come. A message that makes no sense is counted, and
what follows it in its ring is thrown away as far as nobody knows where it begins.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from nodes.guest.corosync_news import CorosyncNews, corosync_news
from nodes.guest.layout import WRITERS, Kind, RingName
from nodes.guest.messages import Done, Received, Sent, Written
from nodes.guest.ring import BrokenRing, Message, Ring, SharedMemory, arrival, datagram

Body = TypeVar("Body", bound=c.LittleEndianStructure)
_EVENT_RINGS: Final = (RingName.ANSWERS, RingName.DISK, RingName.DISK_ENDED, RingName.TASK)


@dataclass(slots=True)
class News:
    """What has come from the guest since the last look. Times are of the guest's clock.

    Attributes:
        answers: The number of a command, and what came of it.
        ended: The block device has ended, as often as there are entries.
        sent: The number of a datagram, and what came of it.
        arrivals: Datagrams that the guest has received, with their payloads.
        written: Writes that have ended.
        corosync: What corosync has said.
    """

    answers: list[tuple[int, Done]] = field(default_factory=list)
    ended: list[Done] = field(default_factory=list)
    sent: list[tuple[int, Sent]] = field(default_factory=list)
    arrivals: list[tuple[Received, bytes]] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    corosync: list[CorosyncNews] = field(default_factory=list)


class MachineLink:
    """The link to one life of a guest: there is another link after each boot.

    Args:
        memory: The shared memory, cleared for the boot.

    Attributes:
        malformed: Messages of the guest that made no sense.
    """

    def __init__(self, memory: SharedMemory) -> None:
        self.malformed = 0
        self._number = 0
        self._control = memory.ring(RingName.CONTROL)
        self._send = memory.ring(RingName.SEND)
        self._take: Sequence[tuple[Ring, Callable[[News, Message], None]]] = (
            *((memory.ring(name), _take_answer) for name in _EVENT_RINGS),
            (memory.ring(RingName.SENT), _take_sent),
            (memory.ring(RingName.RECEIVED), _take_arrival),
            (memory.ring(RingName.COROSYNC), _take_corosync),
            *((memory.ring(RingName.WRITER, n), _take_written) for n in range(WRITERS)),
        )

    @property
    def lost(self) -> int:
        """Messages that the guest had no room for, or that made no sense."""
        return self.malformed + sum(ring.lost for ring, _ in self._take)

    def command(self, kind: Kind, body: bytes = b"") -> int | None:
        """Give the guest a command; return its number, or None where there is no room now."""
        return self._put(self._control, kind, body)

    def send(self, payload: bytes, port: int, to: tuple[str, ...]) -> int | None:
        """Have the guest send a datagram; see ``command`` and ``ring.datagram``."""
        return self._put(self._send, Kind.SEND, datagram(payload, port, to))

    def _put(self, ring: Ring, kind: Kind, body: bytes) -> int | None:
        if not ring.put(kind, self._number + 1, body):
            return None
        self._number += 1
        return self._number

    def poll(self) -> News:
        """Return what has come."""
        news = News()
        for ring, take in self._take:
            for message in self._messages(ring):
                try:
                    take(news, message)
                except ValueError:
                    self.malformed += 1
        return news

    def _messages(self, ring: Ring) -> Iterator[Message]:
        try:
            yield from ring.take()
        except BrokenRing:
            self.malformed += 1
            ring.skip()


def _take_answer(news: News, message: Message) -> None:
    done: Done = _body(message, Kind.DONE, Done)
    if message.id:
        news.answers.append((message.id, done))
    else:
        news.ended.append(done)


def _take_sent(news: News, message: Message) -> None:
    if message.kind == Kind.DONE:  # the agent could not read the datagram
        news.sent.append((message.id, Sent(error=-_body(message, Kind.DONE, Done).result)))
    else:
        news.sent.append((message.id, _body(message, Kind.SENT, Sent)))


def _take_arrival(news: News, message: Message) -> None:
    received: Received = _body(message, Kind.RECEIVED, Received)
    if received.bytes > len(message.body) - c.sizeof(Received):
        raise ValueError(received.bytes)
    news.arrivals.append(arrival(message.body))


def _take_written(news: News, message: Message) -> None:
    news.written.append(_body(message, Kind.WRITTEN, Written))


def _take_corosync(news: News, message: Message) -> None:
    news.corosync.append(corosync_news(message))


def _body(message: Message, kind: Kind, of: type[Body]) -> Body:
    """Return the body of a message.

    Raises:
        ValueError: The message is of another kind, or too short.
    """
    if message.kind != kind:
        raise ValueError(message.kind)
    return of.from_buffer_copy(message.body)
