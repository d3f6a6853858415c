"""The testbed's own standstills are told from a node's."""

from __future__ import annotations

from crunchbed.checks.causes import cause_of_each
from crunchbed.checks.standstill import standstills
from crunchbed.history.history import History
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import HeartbeatMissed
from reserve_agent.contract.events.run import PhaseBegan
from reserve_agent.contract.events.writes import WriteAcknowledged

MS = 1_000_000


def _history(acks: list[tuple[str, int]], miss_at: int | None = None) -> History:
    events: list[Event] = [
        PhaseBegan(t=0, node="run", name="control"),
        PhaseBegan(t=10_000 * MS, node="run", name="collect"),
        *(WriteAcknowledged(t=at * MS, node=node, submitted=0) for node, at in acks),
    ]
    if miss_at is not None:
        at = miss_at * MS
        events.append(HeartbeatMissed(t=at, node="n1", peer="n2", seq=7, tag="00", deadline=at))
    return History(sorted(events, key=lambda event: event.t))


STEADY = [("n1", at) for at in range(1, 1000, 4)] + [("n2", at) for at in range(3, 1000, 4)]
STOPPED = [(node, at) for node, at in STEADY if not 500 <= at < 580]
ONE_STOPPED = [(node, at) for node, at in STEADY if node == "n2" or not 500 <= at < 580]


def test_steady_writes_show_no_standstill() -> None:
    assert standstills(_history(STEADY)) == []


def test_a_gap_on_all_nodes_at_once_is_the_testbed() -> None:
    (found,) = standstills(_history(STOPPED))
    assert 75 * MS < found.length < 90 * MS
    [(_, cause)] = cause_of_each(_history(STOPPED, miss_at=570), 100 * MS)
    assert cause == "testbed"


def test_a_gap_on_one_node_is_not() -> None:
    assert standstills(_history(ONE_STOPPED)) == []
    [(_, cause)] = cause_of_each(_history(ONE_STOPPED, miss_at=570), 100 * MS)
    assert cause == "unknown"


def test_a_miss_long_after_a_standstill_is_not_its_doing() -> None:
    [(_, cause)] = cause_of_each(_history(STOPPED, miss_at=900), 100 * MS)
    assert cause == "unknown"
