"""A node's history on file, and what an agent knows because it is in there.

An agent may be killed at any moment, and another goes on in its place. So what an agent knows is a
fold over its node's history, which a successor does again; and nothing is shown in a metric or
acknowledged to a daemon before it is on file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from reserve_agent.lines import Message
from reserve_agent.sizing import Throttled


class NodeState:
    """What the events of a node add up to.

    Attributes:
        ready: How often each daemon has said that it is ready, since the node's last boot.
        view: Members in the node's latest view.
        serving: Whether it serves the block device.
        misses: Heartbeats that it has missed.
        written: Blocks of 4 KiB whose writes were acknowledged.
        exhausted: Packets dropped because not one page was left, since its last boot.
        sockets: Throttled memalloc sockets by name.
        metrics_port: Where the metrics were served last; 0 before.
        next_entry: Number of the first entry of the hooks' journal that is not in the history;
            None where there is none yet.
        last_t: Time of the latest event, nanoseconds.
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

    def apply(self, event: Message) -> None:
        """Take one event into account."""
        self.last_t = max(self.last_t, event["t"])
        if "entry" in event:
            self.next_entry = event["entry"] + 1
            self.exhausted += event.get("reason") == "reserve_exhausted"
        elif (update := self._UPDATES.get(event["kind"])) is not None:
            update(self, event)

    def _on_ready(self, event: Message) -> None:
        self.ready[event["name"]] = self.ready.get(event["name"], 0) + 1

    def _on_view(self, event: Message) -> None:
        self.view = event["members"]

    def _on_service(self, event: Message) -> None:
        self.serving = event["kind"] == "service.start"

    def _on_miss(self, _event: Message) -> None:
        self.misses += 1

    def _on_ack(self, event: Message) -> None:
        self.written += event.get("blocks", 0)

    def _on_config(self, event: Message) -> None:
        self.metrics_port = event["metrics_port"]

    def _on_journal(self, event: Message) -> None:
        self.next_entry = event["next"]

    def _on_attached(self, event: Message) -> None:
        socket = Throttled(**event["socket"])
        self.sockets[socket.name] = socket

    def _on_detached(self, event: Message) -> None:
        self.sockets.pop(event["name"], None)

    def _on_reset(self, _event: Message) -> None:
        self.ready, self.view, self.sockets, self.exhausted = {}, [], {}, 0
        self.serving = False

    _UPDATES = {  # noqa: RUF012 - a constant table
        "daemon.ready": _on_ready,
        "membership.view": _on_view,
        "service.start": _on_service,
        "service.stop": _on_service,
        "heartbeat.miss": _on_miss,
        "write.ack": _on_ack,
        "pool.config": _on_config,
        "journal.follow": _on_journal,
        "socket.attached": _on_attached,
        "socket.detached": _on_detached,
        "node.reset": _on_reset,
    }


class NodeHistory:
    """The file of JSON lines; what an earlier agent has written there is told again first.

    Args:
        path: The file; made where there is none.
        node: Logical name, which every event gets.
        observe: Is told of every event once it is on file.
    """

    def __init__(self, path: Path, node: str, observe: Callable[[Message], None]) -> None:
        self.state = NodeState()
        self._node = node
        self._observe = observe
        self._waiting: list[tuple[Message, bytes]] = []
        self._known: set[int] = set()
        self._file = path.open("ab", buffering=0)
        for event, line in _whole_lines(path):
            self.state.apply(event)
            self._known.add(hash(line))
            observe(event)
        self._told_until = time.monotonic_ns()

    def record(self, event: Message) -> None:
        """Add an event, with the time now where it has none; on file after ``flush``."""
        event.setdefault("t", time.monotonic_ns())
        event["node"] = self._node
        self.state.apply(event)  # an event that makes no sense is not written down
        self._waiting.append((event, orjson.dumps(event) + b"\n"))

    def report(self, event: Message) -> None:
        """Add what a daemon says, unless an earlier agent has had it on file already.

        That agent may have been killed before it could say so, and the daemon repeats it then.
        """
        if event.get("t", 0) <= self._told_until and self._known:
            event["node"] = self._node
            if hash(orjson.dumps(event) + b"\n") in self._known:
                return
        self.record(event)

    def flush(self) -> None:
        """Put on file what waits: from here on no kill can undo it."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        left = memoryview(b"".join(line for _, line in waiting))
        while left:
            left = left[self._file.write(left) :]
        for event, _ in waiting:
            self._observe(event)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


def _whole_lines(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The events of a file with their lines; a last line that a kill has cut short is removed."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    for line in content[:whole].splitlines(keepends=True):
        yield orjson.loads(line), line
