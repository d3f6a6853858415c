"""What the controller makes of pressure messages: acted upon, or refused and counted."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.switches import PressureRefused, ShedApplied
from reserve_agent.controller.pressure import LEASE_NS, PressureListener
from reserve_agent.controller.refusals import REPORT_NS
from reserve_agent.lines.framing import Message
from reserve_agent.lines.server import LineServer
from reserve_agent.pressure_report import PressureSender


class Controller:
    """A listener with a clock that the test turns, and switches that answer when it says so."""

    def __init__(self) -> None:
        self.now = 0
        self.told: list[tuple[str, bool]] = []
        self.answers: list[Callable[[int], None]] = []
        self.history: list[Event] = []
        self.listener = PressureListener(
            ["n1", "n2"], self.apply, self.history.append, lambda: self.now
        )

    def apply(self, node: str, *, on: bool, done: Callable[[int], None]) -> bool:
        self.told.append((node, on))
        self.answers.append(done)
        return True

    def hear(self, *messages: Message) -> None:
        for message in messages:
            self.listener.hear(message)
        self.listener.tick()

    def in_force(self) -> Event:
        """What is recorded once the switches have made the change that they were told last."""
        self.answers[-1](self.now)
        return self.history[-1]


def pressed(one: Controller) -> list[str]:
    found: list[str] = one.listener.status()["nodes"]
    return found


def said(on: bool, at: int, node: str = "n1") -> Message:
    return {"op": "pressure", "node": node, "on": on, "at": at}


def applied(on: bool, episode: int, *times: int, node: str = "n1") -> ShedApplied:
    pressure_at, received_at, in_force_at = times
    return ShedApplied(
        target=node,
        on=on,
        episode=episode,
        pressure_at=pressure_at,
        received_at=received_at,
        in_force_at=in_force_at,
    )


def test_a_change_is_in_force_when_the_switches_say_so() -> None:
    one = Controller()
    one.now = 120
    one.hear(said(True, 100))
    assert (one.told, one.history) == ([("n1", True)], [])
    one.answers[0](150)
    assert one.history == [applied(True, 1, 100, 120, 150)]
    one.hear(said(False, 160))
    assert one.told[1:] == [("n1", False)]


def test_pressure_begins_and_ends() -> None:
    one = Controller()
    one.now = 12
    one.hear(said(True, 10))
    assert one.in_force() == applied(True, 1, 10, 12, 12)
    one.hear(said(True, 10))
    assert (len(one.told), pressed(one)) == (1, ["n1"]), "said again"
    one.now = 22
    one.hear(said(False, 20))
    assert one.in_force() == applied(False, 1, 20, 22, 22)
    one.hear(said(False, 20))
    assert (len(one.told), pressed(one)) == (2, [])
    one.now = 31
    one.hear(said(True, 30))
    assert one.in_force() == applied(True, 2, 30, 31, 31)


def test_an_episode_that_follows_before_the_end_was_heard_is_another_one() -> None:
    one = Controller()
    one.hear(said(True, 10))
    one.now = 16
    one.hear(said(True, 15))
    assert one.in_force() == applied(True, 2, 15, 16, 16)


def test_nodes_have_nothing_to_do_with_each_other() -> None:
    one = Controller()
    one.hear(said(True, 10))
    one.hear(said(True, 11, "n2"))
    assert one.in_force() == applied(True, 1, 11, 0, 0, node="n2")
    one.hear(said(False, 20))
    assert pressed(one) == ["n2"]


def test_what_arrived_together_is_carried_out_once() -> None:
    one = Controller()
    one.hear(*(said(True, number) for number in range(1, 50)))
    assert one.told == [("n1", True)]
    one.hear(said(False, 60), said(True, 61), said(False, 62))
    assert one.told[1:] == [("n1", False)]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"node": "n1", "on": True},
        {"node": "n1", "on": 1, "at": 1},
        {"node": "n1", "on": True, "at": True},
        {"node": "n1", "on": True, "at": 1.5},
        {"node": ["n1"], "on": True, "at": 1},
    ],
)
def test_what_is_no_message_is_malformed(message: dict[str, Any]) -> None:
    one = Controller()
    one.hear({"op": "pressure", **message})
    assert one.told == []
    assert one.listener.status() == {"refused": 0, "malformed": 1, "nodes": []}
    assert one.history == [PressureRefused(reason="no pressure message")]


def test_what_is_refused_is_counted_and_changes_nothing() -> None:
    one = Controller()
    one.listener.refuse_lines(2, "no JSON object")
    one.hear(said(True, 1, "n9"))
    assert one.told == []
    assert one.listener.status() == {"refused": 1, "malformed": 2, "nodes": []}
    assert one.history == [
        PressureRefused(reason="no JSON object", count=2),
        PressureRefused(reason="unknown node"),
    ]
    one.hear(said(True, 1))
    assert one.told == [("n1", True)]


def test_a_flood_of_rubbish_is_a_few_lines_in_the_history() -> None:
    one = Controller()
    for one.now in range(0, 4 * REPORT_NS, REPORT_NS // 100):
        one.hear({"op": "pressure"})
    one.listener.close()
    counts = [event.count for event in one.history if isinstance(event, PressureRefused)]
    assert len(one.history) == len(counts) == 5
    assert sum(counts) == one.listener.status()["malformed"] == 400


def test_an_agent_that_falls_silent_is_noticed() -> None:
    one = Controller()
    one.hear(said(True, 0))
    one.now = LEASE_NS // 2
    one.hear(said(True, 0))
    one.now = LEASE_NS // 2 + LEASE_NS
    one.listener.tick()
    assert one.told == [("n1", True)]
    one.now += 1
    one.listener.tick()
    assert one.told == [("n1", True), ("n1", False)]
    assert one.in_force() == applied(False, 1, one.now, one.now, one.now)
    one.listener.tick()
    assert len(one.told) == 2


def test_an_agent_is_heard_by_way_of_the_kernel(tmp_path: Path) -> None:
    one = Controller()
    path = tmp_path / "controller"
    with selectors.DefaultSelector() as selector:
        server = LineServer(path, selector, lambda message: one.listener.hear(message))
        sender = PressureSender("n2", path)
        sender.tell(None, 1)
        sender.tell(5, 6)
        for _ in range(2):
            for key, _ in selector.select(2):
                key.data()
        one.listener.tick()
        sender.tell(None, 7)
        for key, _ in selector.select(2):
            key.data()
        one.listener.tick()
        assert one.told == [("n2", True), ("n2", False)]
        assert one.listener.status() == {"refused": 0, "malformed": 0, "nodes": []}
        sender.close()
        server.close()
