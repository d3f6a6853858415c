"""Views passed on to others on the node, whoever of the two is there first."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nodes.listeners import ViewForwarder
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import HeartbeatSent
from reserve_agent.contract.events.membership import ViewInstalled

BEAT = HeartbeatSent(seq=1, peers=["n2"])


class Sink:
    def __init__(self) -> None:
        self.emitted: list[Event] = []

    def emit(self, event: Event) -> None:
        self.emitted.append(event)


def view(number: int) -> ViewInstalled:
    return ViewInstalled(number=number, members=["n1"] * 32)


def listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(5)
    return listener


def views(connection: socket.socket) -> list[int]:
    connection.settimeout(5)
    return [json.loads(line)["number"] for line in connection.recv(65536).splitlines()]


@pytest.fixture
def events(tmp_path: Path) -> Iterator[ViewForwarder]:
    with closing(ViewForwarder(Sink(), [tmp_path / "s"])) as forwarder:
        yield forwarder


def pause() -> None:
    time.sleep(0.03)  # until it tries again


def test_every_event_goes_on_and_views_to_the_listener_too(tmp_path: Path) -> None:
    sink = Sink()
    forwarder = ViewForwarder(sink, [tmp_path / "s"])
    with listen(tmp_path / "s") as listener, closing(forwarder) as events:
        events.emit(BEAT)
        installed = ViewInstalled(t=7, number=1, members=["n1"])
        events.emit(installed)
        connection, _ = listener.accept()
        with connection:
            record = json.loads(connection.recv(65536))
        changes = {"removed": [], "added": [], "quorate": True}
        told = {"t": 7, "kind": "membership.view", "number": 1, "members": ["n1"], **changes}
        assert record == told
        assert sink.emitted == [BEAT, installed]


def test_a_listener_that_comes_late_gets_all_views_in_order(
    events: ViewForwarder, tmp_path: Path
) -> None:
    events.emit(view(1))
    events.emit(view(2))
    with listen(tmp_path / "s") as listener:
        pause()
        events.emit(BEAT)
        connection, _ = listener.accept()
        with connection:
            assert views(connection) == [1, 2]
            events.emit(view(3))
            assert views(connection) == [3]


def test_one_that_went_away_gets_what_came_since(events: ViewForwarder, tmp_path: Path) -> None:
    with listen(tmp_path / "s") as listener:
        events.emit(view(1))
        connection, _ = listener.accept()
        assert views(connection) == [1]
        connection.close()
    events.emit(view(2))
    with listen(tmp_path / "s") as listener:
        for _ in range(2):
            pause()
            events.emit(BEAT)
        connection, _ = listener.accept()
        with connection:
            assert views(connection) == [2]


def test_one_that_does_not_read_holds_nobody_up(events: ViewForwarder, tmp_path: Path) -> None:
    with listen(tmp_path / "s"):
        began = time.monotonic()
        for number in range(5000):
            events.emit(view(number))
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("listeners", [[], ["a", "b"]])
def test_without_anybody_there_nothing_fails(listeners: list[str], tmp_path: Path) -> None:
    events = ViewForwarder(Sink(), [tmp_path / name for name in listeners])
    events.emit(view(1))


def test_a_view_has_the_same_time_for_all(tmp_path: Path) -> None:
    sink = Sink()
    with listen(tmp_path / "s") as listener, closing(ViewForwarder(sink, [tmp_path / "s"])) as both:
        both.emit(view(1))
        connection, _ = listener.accept()
        with connection:
            assert json.loads(connection.recv(65536))["t"] == sink.emitted[0].t > 0
