"""A node's history on file, and what an agent knows because it is in there.

An agent may be killed at any moment, and another one continues its work. So what an agent knows is
computed from its node's history alone, and its successor computes it again; and nothing is shown in
a metric or acknowledged to a daemon before it is on file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.contract.events import faults, heartbeats, membership, pressure, run, writes
from reserve_agent.contract.events.base import KEEPER, Event, MalformedEvent, made_id
from reserve_agent.contract.events.kinds import from_record
from reserve_agent.lines.framing import Message
from reserve_agent.part import PartSum
from reserve_agent.sizing import Throttled


class NodeSummary:
    """What the events of a node add up to.

    Attributes:
        ready: How often each daemon has said that it is ready, since the node's last boot.
        view: Members in the node's latest view.
        serving: Whether the node serves the block device.
        misses: Heartbeats that the node has missed.
        written: Blocks of 4 KiB whose writes were acknowledged.
        exhausted: Packets dropped because not one page was left, since the node's last boot.
        sockets: Throttled memalloc sockets by name.
        metrics_port: Where the metrics were served last; 0 before.
        next_entry: Number of the first entry of the hooks' journal that is not in the history;
            None where there is none yet.
        last_t: Time of the latest event, nanoseconds.
        lives: How often the node has lost its power.
    """

    def __init__(self) -> None:
        self.ready: dict[str, int] = {}
        self.view: list[str] = []
        self.serving = False
        self.misses = 0
        self.written = 0
        self.exhausted = 0
        self.sockets: dict[str, Throttled] = {}
        self.metrics_port = 0
        self.next_entry: int | None = None
        self.last_t = 0
        self.lives = 0

    def apply(self, event: Event) -> None:
        """Take one event into account.

        Raises:
            TypeError: a socket that was attached lacks a field, or has one too many.
        """
        self.last_t = max(self.last_t, event.t)
        match event:
            case pressure.PressureBegan() | pressure.PressureEnded() | pressure.PacketDropped():
                if event.entry is not None:
                    self.next_entry = event.entry + 1
                if isinstance(event, pressure.PacketDropped):
                    self.exhausted += event.reason == "reserve_exhausted"
            case pressure.JournalFollowed():
                self.next_entry = event.next
            case heartbeats.HeartbeatMissed():
                self.misses += 1
            case writes.WriteAcknowledged():
                self.written += event.blocks
            case run.DaemonReady():
                self.ready[event.name] = self.ready.get(event.name, 0) + 1
            case membership.ViewInstalled():
                self.view = list(event.names)
            case writes.ServiceStarted() | writes.ServiceStopped():
                self.serving = isinstance(event, writes.ServiceStarted)
            case pressure.PoolConfigured():
                self.metrics_port = event.metrics_port
            case pressure.SocketAttached():
                fields: Mapping[str, Any] = event.socket
                socket = Throttled(**fields)
                self.sockets[socket.name] = socket
            case pressure.SocketDetached():
                self.sockets.pop(event.name, None)
            case faults.NodeReset():
                self.ready, self.view, self.sockets, self.exhausted = {}, [], {}, 0
                self.serving = False
                self.lives += 1

    def told(self) -> Message:
        """Return what the run waits for and shows."""
        names = ("ready", "view", "serving", "misses", "written", "exhausted")
        return {name: getattr(self, name) for name in names}


class NodeHistory:
    """The file of JSON lines; the events that an earlier agent has written there come first.

    It is one part of the run's history. Its own events are numbered here; a daemon numbers its
    events itself, and says with an ``id`` such as ``h:12`` who it is. Its number shows what is on
    file already: an agent may have been killed after it had written an event and before it could
    acknowledge it, and the daemon repeats the event to the next agent.

    The file is made where there is none. Every event gets the name ``node``, and ``observe`` is
    told of it once it is on file.
    """

    def __init__(self, path: Path, node: str, observe: Callable[[Event], None]) -> None:
        self.summary = NodeSummary()
        self._node = node
        self._observe = observe
        self._waiting: list[tuple[Event, bytes]] = []
        self._next: dict[str, int] = {}
        self._sum = PartSum()
        self._file = path.open("ab", buffering=0)
        for line in _whole_lines(path):
            event = from_record(orjson.loads(line))
            self.summary.apply(event)
            self._count(event.id)
            self._sum.add(event.id, event.kind, line)
            observe(event)

    def record(self, event: Event) -> None:
        """Add an event, with the time now where it has none; on file after ``flush``."""
        event = event.stamped(time.monotonic_ns(), self._node, self._own_id())
        self._add(event, orjson.dumps(event.record()) + b"\n")

    def report(self, message: Message) -> None:
        """Add an event that another process tells, unless it is on file already.

        Raises:
            MalformedEvent: the message is no event of its kind.
        """
        message.setdefault("t", time.monotonic_ns())
        message["node"] = self._node
        id_ = message.setdefault("id", None)
        writer, number = (KEEPER, None) if id_ is None else _parsed(id_)
        if number is None:
            message["id"] = self._own_id()
        else:
            writer = f"{writer}{self.summary.lives or ''}"
            if number < self._next.get(writer, 0):
                return
            message["id"] = f"{writer}:{number}"
        line = orjson.dumps(message) + b"\n"
        self._add(from_record(message), line)

    def _own_id(self) -> str:
        return made_id(KEEPER, 0, self._next.get(KEEPER, 0))

    def _add(self, event: Event, line: bytes) -> None:
        self.summary.apply(event)  # an event that makes no sense is not written down
        self._count(event.id)
        self._waiting.append((event, line))

    def _count(self, id_: str) -> None:
        writer, _, number = id_.partition(":")
        if number:
            self._next[writer] = int(number) + 1

    def flush(self) -> None:
        """Put on file what waits: from here on no kill can undo it."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        left = memoryview(b"".join(line for _, line in waiting))
        while left:
            left = left[self._file.write(left) :]
        for event, line in waiting:
            self._sum.add(event.id, event.kind, line)
            self._observe(event)

    def finish(self) -> None:
        """Write down what the part holds, and close it: nothing may come after that."""
        self.flush()
        self.record(self._sum.closing())
        self.close()

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


def _parsed(id_: object) -> tuple[str, int]:
    """Return writer and number of a daemon's id.

    Raises:
        MalformedEvent: it is no id.
    """
    writer, _, number = id_.partition(":") if isinstance(id_, str) else ("", "", "")
    if not (writer.isalpha() and number.isdecimal() and number.isascii()):
        raise MalformedEvent(f"id: expected writer:number, got {id_!r}")
    return writer, int(number)


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file; a last line that a kill has cut short is removed from it."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    yield from content[:whole].splitlines(keepends=True)
