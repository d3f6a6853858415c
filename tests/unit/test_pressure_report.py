"""What an agent tells the controller about its node's pressure, and when."""

from __future__ import annotations

import socket
from pathlib import Path

import orjson
import pytest

from reserve_agent.controller.pressure import LEASE_NS
from reserve_agent.lines.framing import Message
from reserve_agent.pressure_report import REPEAT_NS, PressureReport, PressureSender

MS = 1_000_000


def about(node: str, *, on: bool, at: int) -> Message:
    return {"op": "pressure", "node": node, "on": on, "at": at}


def test_an_agent_says_what_changes_and_repeats_it() -> None:
    report = PressureReport("n1")
    assert report.due(None, 5 * MS) is None
    enter = about("n1", on=True, at=7 * MS)
    assert report.due(7 * MS, 8 * MS) == enter
    assert report.due(7 * MS, 10 * MS) is None
    assert report.due(7 * MS, 8 * MS + REPEAT_NS) == enter
    assert report.due(200 * MS, 201 * MS) == about("n1", on=True, at=200 * MS)
    assert REPEAT_NS * 5 < LEASE_NS, "a few lost messages are not silence"


def test_the_end_is_said_three_times_and_then_no_more() -> None:
    report = PressureReport("n1")
    report.due(7 * MS, 8 * MS)
    times = range(10 * MS, 1000 * MS, 2 * MS)
    said = {now: message for now in times if (message := report.due(None, now)) is not None}
    assert list(said.values()) == [about("n1", on=False, at=10 * MS)] * 3
    assert list(said) == [10 * MS + turn * REPEAT_NS for turn in range(3)]


def listening(path: Path, backlog: int = 8) -> socket.socket:
    controller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    controller.bind(str(path))
    controller.listen(backlog)
    return controller


def test_a_controller_that_is_away_is_no_error(tmp_path: Path) -> None:
    sender = PressureSender("n1", tmp_path / "controller")
    for since in range(1, 6):
        sender.tell(since, since)
    sender.close()


def test_a_controller_that_takes_over_hears_the_next_message(tmp_path: Path) -> None:
    path = tmp_path / "controller"
    sender = PressureSender("n1", path)
    for since in (1, 2):
        with listening(path) as controller:
            sender.tell(since, since)
            peer, _ = controller.accept()
            with peer:
                assert orjson.loads(peer.recv(1000)) == about("n1", on=True, at=since)
        path.unlink()
    sender.close()


@pytest.mark.parametrize("accepted", [False, True])
def test_a_controller_that_does_not_read_keeps_nobody_waiting(
    accepted: bool, tmp_path: Path
) -> None:
    path = tmp_path / "controller"
    with listening(path) as controller:
        sender = PressureSender("n1", path)
        sender.tell(1, 1)
        peer = controller.accept()[0] if accepted else None
        for since in range(2, 10_000):  # far more than the socket takes
            sender.tell(since, since)
        if peer is not None:
            with peer, peer.makefile("rb") as lines:
                assert [orjson.loads(next(lines))["at"] for _ in range(3)] == [1, 2, 3]
        sender.close()
