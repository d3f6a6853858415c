"""What an agent decides about its node's memory, and what it records of that."""

from __future__ import annotations

import pytest

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.faults import NodeReset
from reserve_agent.contract.events.pressure import (
    EmergencyChanged,
    PoolConfigured,
    ReserveSmall,
    SocketAttached,
    SocketDetached,
)
from reserve_agent.contract.packets import Policy
from reserve_agent.errors import BadInput
from reserve_agent.memory import NodeMemory, ReserveRule
from reserve_agent.model.profiles.kernel import Ratio
from reserve_agent.record import NodeSummary
from reserve_agent.sizing import CONTROL_PAGES, INTERFACE_PAGES

PAGES = 4096
DISK: dict[str, str | int | bool] = {
    "name": "disk",
    "in_flight": 16,
    "request_bytes": 16412,
    "reply_bytes": 82,
}
NO_SOCKET = CONTROL_PAGES + INTERFACE_PAGES
WITH_DISK = NO_SOCKET + 16 * (6 + 1 + 1)


class Pool:
    """A pool of which ``limit`` pages at most can be reserve."""

    limit = 1000

    def __init__(self) -> None:
        self.reserve = 0
        self.clean = 0
        self.emergency: list[bool] = []

    def snapshot(self) -> dict[str, int]:
        return {"total": PAGES, "reserve": self.reserve, "clean": self.clean}

    def resize(self, total: int, reserve: int) -> bool:
        assert total == PAGES
        if reserve <= self.limit:
            self.reserve = reserve
        return reserve <= self.limit

    def reset(self, clean: int) -> None:
        self.clean = clean

    def set_emergency(self, *, raised: bool) -> None:
        self.emergency.append(raised)


class Node:
    """A node's memory with what it has recorded."""

    def __init__(self, reserve: int | None, policy: Policy = Policy.MEMALLOC) -> None:
        self.pool, self.events, self.summary = Pool(), list[Event](), NodeSummary()
        self.memory = NodeMemory(
            self.pool,
            PAGES,
            ReserveRule(reserve, interfaces=1, reserved=Ratio(1, 1)),
            policy,
            lambda: self.summary.sockets,
            self.record,
        )
        self.memory.begin(clean=100)
        self.memory.metrics_port = 9

    def record(self, event: Event) -> None:
        self.summary.apply(event)
        self.events.append(event)

    def configured(self, reserve: int, computed: int, policy: str = "memalloc") -> PoolConfigured:
        return PoolConfigured(
            total=PAGES,
            reserve=reserve,
            clean=100,
            computed=computed,
            policy=policy,
            metrics_port=9,
        )


def test_a_node_begins_with_the_reserve_that_the_scenario_asks_for() -> None:
    assert (Node(256).pool.reserve, Node(256).pool.clean) == (256, 100)
    assert Node(None).pool.reserve == NO_SOCKET


def test_a_reserve_that_is_computed_follows_the_sockets() -> None:
    node = Node(None)
    assert node.memory.attach(DISK) == {"reserve": WITH_DISK, "computed": WITH_DISK}
    assert node.memory.attach(DISK) == {"reserve": WITH_DISK, "computed": WITH_DISK}
    assert node.memory.detach("disk") == {"reserve": NO_SOCKET, "computed": NO_SOCKET}
    assert node.events == [
        SocketAttached(socket=DISK),
        node.configured(WITH_DISK, WITH_DISK),
        SocketAttached(socket=DISK),
        SocketDetached(name="disk"),
        node.configured(NO_SOCKET, NO_SOCKET),
    ]


def test_a_reserve_that_is_fixed_stays_and_is_said_to_be_small() -> None:
    node = Node(100)
    assert node.memory.attach(DISK) == {"reserve": 100, "computed": WITH_DISK}
    assert node.events[1:] == [ReserveSmall(reserve=100, computed=WITH_DISK)]
    assert node.memory.detach("disk") == {"reserve": 100, "computed": NO_SOCKET}
    assert node.events[2:] == [SocketDetached(name="disk")]


def test_a_reserve_that_does_not_fit_is_refused() -> None:
    node = Node(None)
    node.pool.limit = 100
    with pytest.raises(BadInput, match=f"a reserve of {WITH_DISK} pages does not fit {PAGES}"):
        node.memory.attach(DISK)
    with pytest.raises(BadInput, match="a reserve of 101 pages"):
        node.memory.resize(101)
    assert node.events == [SocketAttached(socket=DISK)]


def test_another_reserve_holds_until_the_sockets_say_otherwise() -> None:
    node = Node(256)
    assert node.memory.resize(64) == 256
    assert node.events == [node.configured(64, NO_SOCKET)]
    assert node.memory.attach(DISK) == {"reserve": 256, "computed": WITH_DISK}
    assert node.pool.reserve == 256


def test_a_reboot_is_recorded_and_only_clean_pages_are_left() -> None:
    node = Node(256)
    node.memory.reset(7)
    assert (node.pool.clean, node.events) == (7, [NodeReset()])


def test_the_emergency_flag_follows_the_pressure() -> None:
    node = Node(256, Policy.CRITICAL)
    for pressure, raised in ((False, False), (True, False), (True, True), (False, True)):
        node.memory.watch_emergency(pressure=pressure, raised=raised)
    assert node.pool.emergency == [True, False]
    assert node.events == [EmergencyChanged(raised=True), EmergencyChanged(raised=False)]


def test_only_the_critical_policy_has_the_flag() -> None:
    node = Node(256, Policy.MEMALLOC)
    node.memory.watch_emergency(pressure=True, raised=False)
    assert node.pool.emergency == []
    node.memory.switch(Policy.CRITICAL)
    assert node.pool.emergency == []
    node.memory.watch_emergency(pressure=True, raised=False)
    node.memory.switch(Policy.NONE)
    assert node.pool.emergency == [True, False], "lowered when the policy goes"
    assert node.events == [
        node.configured(256, NO_SOCKET, "critical"),
        EmergencyChanged(raised=True),
        node.configured(256, NO_SOCKET, "none"),
    ]
