"""What arrives by UDP at the controller is acted upon, or refused and counted."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from typing import Any, cast

from reserve_agent.controller.board import LEASE_NS, PressureBoard
from reserve_agent.controller.desk import PressureDesk, PressureSocket
from reserve_agent.controller.pressure import Kind, PressureMessage, encode
from reserve_agent.controller.refusals import REPORT_NS
from reserve_agent.pressure_report import ControllerAddress, PressureSender

TOKEN = bytes(range(32))


class Controller:
    """A desk with a clock that the test turns, and switches that answer when it says so."""

    def __init__(self) -> None:
        self.now = 0
        self.told: list[tuple[str, bool]] = []
        self.answers: list[Callable[[int], None]] = []
        self.history: list[dict[str, Any]] = []
        board = PressureBoard(TOKEN, ["n1", "n2"])
        self.desk = PressureDesk(board, self.apply, self.record, lambda: self.now)

    def record(self, kind: str, **fields: Any) -> None:
        self.history.append({"kind": kind, **fields})

    def apply(self, node: str, *, on: bool, done: Callable[[int], None]) -> bool:
        self.told.append((node, on))
        self.answers.append(done)
        return True

    def hear(self, *datagrams: bytes) -> None:
        self.desk.hear(list(datagrams))


def said(kind: Kind, sequence: int, at: int, token: bytes = TOKEN) -> bytes:
    return encode(PressureMessage(kind, "n1", sequence, at), token)


def test_a_change_is_in_force_when_the_switches_say_so() -> None:
    one = Controller()
    one.now = 120
    one.hear(said(Kind.ENTER, 1, 100))
    assert (one.told, one.history) == ([("n1", True)], [])
    one.answers[0](150)
    assert one.history == [
        {
            "kind": "shed.applied",
            "target": "n1",
            "on": True,
            "episode": 1,
            "pressure_at": 100,
            "received_at": 120,
            "in_force_at": 150,
        }
    ]
    one.hear(said(Kind.LEAVE, 2, 160))
    assert one.told[1:] == [("n1", False)]


def test_what_arrived_together_is_carried_out_once() -> None:
    one = Controller()
    one.hear(*(said(Kind.ENTER, number, number) for number in range(1, 50)))
    assert one.told == [("n1", True)]
    one.hear(said(Kind.LEAVE, 50, 60), said(Kind.ENTER, 51, 61), said(Kind.LEAVE, 52, 62))
    assert one.told[1:] == [("n1", False)]


def test_what_is_refused_is_counted_and_changes_nothing() -> None:
    one = Controller()
    one.hear(said(Kind.ENTER, 1, 1, token=bytes(32)), said(Kind.ENTER, 1, 1)[:40], b"rubbish")
    assert one.told == []
    assert one.desk.status()["pressure"] == {"refused": 2, "malformed": 1, "nodes": []}
    assert {event["reason"]: event["count"] for event in one.history} == {
        "wrong token": 1,
        "no token": 1,
        "no pressure message": 1,
    }
    one.hear(said(Kind.ENTER, 1, 1))
    assert one.told == [("n1", True)]


def test_a_flood_of_rubbish_is_a_few_lines_in_the_history() -> None:
    one = Controller()
    for one.now in range(0, 4 * REPORT_NS, REPORT_NS // 100):
        one.hear(b"rubbish")
    one.desk.close()
    assert len(one.history) == 5
    assert sum(event["count"] for event in one.history) == one.desk.malformed.total() == 400


def test_an_agent_that_falls_silent_is_noticed() -> None:
    one = Controller()
    one.hear(said(Kind.ENTER, 1, 0))
    one.desk.tick()
    one.now = LEASE_NS + 1
    one.desk.tick()
    one.desk.tick()
    assert one.told == [("n1", True), ("n1", False)]


def test_an_agent_is_heard_by_way_of_the_kernel() -> None:
    one = Controller()
    with selectors.DefaultSelector() as selector, socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address: tuple[str, int] = taken.getsockname()
        taken.close()
        PressureSocket(address, selector, one.desk.hear)
        sender = PressureSender("n2", ControllerAddress(*address, TOKEN.hex()))
        sender.tell(None, 1)
        sender.tell(5, 6)
        sender.tell(None, 7)
        with socket.socket(type=socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"", address)
            stranger.sendto(b"x" * 2000, address)
        for key, _ in selector.select(2):
            key.data()
        assert one.told == [("n2", False)]
        assert one.desk.status()["pressure"] == {"refused": 0, "malformed": 2, "nodes": []}
        sender.close()
        cast(socket.socket, key.fileobj).close()
