"""A daemon's reports: never in the daemon's way, and no loss without a word."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reserve_agent import events
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import HeartbeatSent
from reserve_agent.events import EventSink

LIMIT = 64 << 10
MORE_THAN_THE_SOCKET_TAKES = 4 << 20


class Filler(Event, kind="filler"):
    """An event of a kilobyte."""

    number: int | None = None
    ballast: str = "x" * 1000


class Numbered(Event, kind="numbered"):
    number: int


class Listener:
    """Takes the agent's place; reads only when told to, and says then what it has on file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(5)
        self.connection: socket.socket | None = None
        self._heard = 0

    def accept(self) -> socket.socket:
        self.connection, _ = self._listener.accept()
        self.connection.settimeout(5)
        self._heard = 0
        return self.connection

    def read(self, *, acknowledge: bool = True) -> list[dict[str, Any]]:
        """All that has arrived, up to a pause of 0.2 s."""
        connection = self.connection or self.accept()
        connection.settimeout(0.2)
        received = b""
        try:
            while data := connection.recv(1 << 20):
                received += data
        except TimeoutError:
            pass
        self._heard += len(received)
        if acknowledge:
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(b'{"heard":%d}\n' % self._heard)
        return [orjson.loads(line) for line in received.splitlines()]

    def die(self) -> None:
        """As by SIGKILL: the connection goes with all that was not read of it."""
        assert self.connection is not None
        self.connection.close()
        self.connection = None
        self._listener.close()
        self.path.unlink()

    def close(self) -> None:
        self._listener.close()
        if self.connection is not None:
            self.connection.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path / "agent")
    yield listener
    listener.close()


@pytest.fixture(autouse=True)
def short_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FLUSH_SECONDS", 0.5)


@pytest.fixture
def sink(listener: Listener) -> Iterator[EventSink]:
    sink = EventSink(listener.path, "h", limit=LIMIT)
    yield sink
    sink.close()


def fill(sink: EventSink) -> int:
    """Emit until one is lost; returns how many were kept."""
    number = 0
    while not sink.lost:
        sink.emit(Filler(number=number))
        number += 1
    return number - 1


def test_an_event_is_sent_at_once(listener: Listener, sink: EventSink) -> None:
    before = time.monotonic_ns()
    sink.emit(Numbered(number=1))
    sink.emit(HeartbeatSent(t=17, peers=2))
    first, second = listener.read()
    assert before <= first.pop("t") <= time.monotonic_ns()
    assert first == {"kind": "numbered", "number": 1, "id": "h:0"}
    assert second == {"t": 17, "kind": "heartbeat.sent", "peers": 2, "id": "h:1"}


def test_an_agent_that_does_not_read_delays_nobody(listener: Listener, sink: EventSink) -> None:
    fill(sink)
    before = time.monotonic()
    for _ in range(100):
        sink.emit(Filler())
    assert time.monotonic() - before < 0.1
    assert sink.lost == 101


def test_what_was_lost_is_reported_once_there_is_room(listener: Listener, sink: EventSink) -> None:
    kept = fill(sink)
    sink.emit(Filler())
    first = listener.read()
    sink.emit(Numbered(number=1))
    sink.emit(Numbered(number=2))
    heard = first + listener.read()
    assert [event["number"] for event in heard if event["kind"] == "filler"] == list(range(kept))
    lost = [event for event in heard if event["kind"] == "events.lost"]
    assert [event["count"] for event in lost] == [2]
    assert [event["number"] for event in heard if event["kind"] == "numbered"] == [1, 2]
    assert sink.lost == 2


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["number"] for event in events if "number" in event]


def emit(sink: EventSink, *numbers: int) -> None:
    for number in numbers:
        sink.emit(Numbered(number=number))


def test_what_is_said_while_the_agent_is_away_waits_for_the_next(
    listener: Listener, sink: EventSink
) -> None:
    emit(sink, 1)
    assert numbers(listener.read()) == [1]
    listener.die()
    emit(sink, 2, 3)
    successor = Listener(listener.path)
    time.sleep(0.05)
    emit(sink, 4)
    assert numbers(successor.read()) == [2, 3, 4]
    assert sink.lost == 0
    successor.close()


def test_what_a_killed_agent_has_not_put_on_file_is_said_again(
    listener: Listener, sink: EventSink
) -> None:
    """Also what it had read, and what it was never to read."""
    emit(sink, 1, 2)
    assert numbers(listener.read()) == [1, 2]
    emit(sink, 3)
    assert numbers(listener.read(acknowledge=False)) == [3]
    emit(sink, 4)
    listener.die()
    emit(sink, 5)
    successor = Listener(listener.path)
    time.sleep(0.05)
    emit(sink, 6)
    assert numbers(successor.read()) == [3, 4, 5, 6]
    successor.close()


def test_an_agent_that_stays_away_costs_what_does_not_fit(
    listener: Listener, sink: EventSink
) -> None:
    listener.accept()
    listener.die()
    kept = fill(sink)
    assert kept > LIMIT // 1100
    lost = sink.lost
    successor = Listener(listener.path)
    time.sleep(0.05)
    sink.emit(Filler())
    heard = numbers(successor.read())
    assert heard == list(range(kept))
    time.sleep(0.05)
    sink.emit(Numbered(number=-1))
    later = successor.read()
    assert [event["count"] for event in later if event["kind"] == "events.lost"] == [lost + 1]
    successor.close()


def test_closing_sends_what_waits(listener: Listener) -> None:
    sink = EventSink(listener.path, "h", limit=MORE_THAN_THE_SOCKET_TAKES)
    listener.accept()
    kept = fill(sink)
    heard: list[dict[str, Any]] = []
    reader = threading.Thread(target=lambda: heard.extend(listener.read()))
    reader.start()
    sink.close()
    reader.join()
    assert sum(event["kind"] == "filler" for event in heard) == kept


def test_closing_does_not_wait_for_ever(listener: Listener) -> None:
    sink = EventSink(listener.path, "h", limit=MORE_THAN_THE_SOCKET_TAKES)
    fill(sink)
    before, lost = time.monotonic(), sink.lost
    sink.close()
    assert 0.4 < time.monotonic() - before < 2
    sink.emit(Filler())
    assert sink.lost > lost + 1


def test_closing_waits_for_a_successor(listener: Listener, sink: EventSink) -> None:
    listener.accept()
    listener.die()
    emit(sink, 1, 2)
    closing = threading.Thread(target=sink.close)
    closing.start()
    successor = Listener(listener.path)
    assert numbers(successor.read()) == [1, 2]
    closing.join()
    successor.close()


def test_a_daemon_that_ends_in_order_has_said_all(listener: Listener) -> None:
    """Its sink is nobody's to close: the heartbeat daemon just returns."""
    code = (
        "import sys; from pathlib import Path; from reserve_agent.events import EventSink\n"
        "from tests.unit.test_events import Filler\n"
        "sink = EventSink(Path(sys.argv[1]), 'h')\n"
        "for number in range(3000): sink.emit(Filler(number=number))\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", code, str(listener.path)])
    try:
        listener.accept()
        time.sleep(0.3)  # the daemon fills the socket and comes to its end
        assert [event["number"] for event in listener.read()] == list(range(3000))
        assert daemon.wait(5) == 0
    finally:
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
