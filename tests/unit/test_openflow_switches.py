"""All switches of a run: when what is shed is in force, also where one of them is not there."""

from __future__ import annotations

import pytest

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.switches import OpenFlowMalformed
from reserve_agent.controller import switches as module
from reserve_agent.controller.refusals import MOST_REASONS, OTHERS, REPORT_NS
from reserve_agent.controller.rules.settings import Shed
from reserve_agent.controller.session import Session
from reserve_agent.controller.switches import Switches
from reserve_agent.controller.wiring import Network
from tests.unit.openflow_fabric import redundant, star
from tests.unit.openflow_switch import FakeSwitch


class Fabric:
    """The switches of a run, and when they have said that a change is in force."""

    def __init__(self, network: Network) -> None:
        self.events: list[Event] = []
        self.all = Switches(network, (), Shed("drop"), self.events.append)
        self.switches = {one.dpid: FakeSwitch() for one in network.switches}
        self.sessions: dict[int, Session] = {}
        self.done: list[str] = []

    def counts(self) -> list[int]:
        return [one.count for one in self.events if isinstance(one, OpenFlowMalformed)]

    def come(self, *dpids: int) -> None:
        for dpid in dpids:
            session = self.all.connected(dpid, self.switches[dpid], set())
            assert session is not None
            self.sessions[dpid] = session

    def answer(self, *dpids: int) -> None:
        for dpid in dpids:
            self.switches[dpid].run(self.sessions[dpid])

    def go(self, dpid: int) -> None:
        self.switches[dpid].forget()
        self.all.disconnected(dpid, self.sessions.pop(dpid))

    def shed(self, node: str, *, on: bool) -> bool:
        word = "on" if on else "off"
        return self.all.shed(node, on=on, done=lambda _: self.done.append(word))


@pytest.fixture
def two() -> Fabric:
    fabric = Fabric(redundant())
    fabric.come(1, 2)
    fabric.answer(1, 2)
    assert fabric.all.ready
    return fabric


def test_it_is_in_force_when_the_last_switch_says_so(two: Fabric) -> None:
    assert two.shed("n1", on=True)
    two.answer(1)
    assert two.done == []
    two.answer(2)
    assert two.done == ["on"]
    assert not two.shed("n1", on=True)
    two.shed("n1", on=False)
    two.answer(2, 1)
    assert two.done == ["on", "off"]


def test_a_switch_without_power_is_not_waited_for(two: Fabric) -> None:
    two.go(2)
    two.shed("n1", on=True)
    two.answer(1)
    assert two.done == ["on"]


@pytest.mark.parametrize("answered_before", [True, False])
def test_nor_is_one_that_loses_it_meanwhile(two: Fabric, answered_before: bool) -> None:
    two.shed("n1", on=True)
    if answered_before:
        two.answer(1)
    two.go(2)
    two.answer(1)
    assert two.done == ["on"]
    two.come(2)
    two.answer(2)
    assert two.done == ["on"]
    assert two.all.ready


def test_pressure_before_the_switches_have_come_is_in_force_when_they_have() -> None:
    """A controller that takes over hears of it sooner than of its switches."""
    fabric = Fabric(redundant())
    fabric.shed("n1", on=True)
    fabric.come(1)
    fabric.answer(1)
    assert fabric.done == []
    fabric.come(2)
    fabric.answer(2)
    assert fabric.done == ["on"]


def test_what_is_over_before_a_switch_has_come_was_never_in_force() -> None:
    fabric = Fabric(star())
    fabric.shed("n1", on=True)
    fabric.shed("n1", on=False)
    fabric.come(1)
    fabric.answer(1)
    assert fabric.done == ["off"]


def test_the_only_switch_is_waited_for_until_it_is_back() -> None:
    fabric = Fabric(star())
    fabric.come(1)
    fabric.answer(1)
    fabric.shed("n1", on=True)
    fabric.go(1)
    assert fabric.done == []
    fabric.come(1)
    fabric.answer(1)
    assert fabric.done == ["on"]


def test_a_flood_of_what_is_no_openflow_is_a_few_lines_in_the_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fabric, clock = Fabric(star()), [0]
    monkeypatch.setattr(module.time, "monotonic_ns", lambda: clock[0])
    told = []
    for clock[0] in range(0, 4 * REPORT_NS, REPORT_NS // 100):
        told.append(fabric.all.was_malformed("127.0.0.1: no OpenFlow"))
    assert told.count(True) == len(fabric.events) == 4
    assert told[0], "the first at once"
    clock[0] = 4 * REPORT_NS
    fabric.all.tick()
    fabric.all.tick()
    assert fabric.counts() == [1, 100, 100, 100, 99]
    fabric.all.was_malformed("127.0.0.1: no OpenFlow")
    assert len(fabric.events) == 5
    fabric.all.close()
    assert sum(fabric.counts()) == fabric.all.status()["malformed"]


def test_nor_do_ever_new_reasons_make_it_many(monkeypatch: pytest.MonkeyPatch) -> None:
    fabric = Fabric(star())
    monkeypatch.setattr(module.time, "monotonic_ns", lambda: 0)
    for number in range(1000):
        fabric.all.was_malformed(f"127.0.0.1: {number} bytes")
    fabric.all.close()
    assert len(fabric.events) == 1 + MOST_REASONS + 1
    assert fabric.events[-1] == OpenFlowMalformed(reason=OTHERS, count=999 - MOST_REASONS)
