"""A node's history as the memory of its agents, one of which may be killed at any moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reserve_agent.contract.events.base import Event, MalformedEvent
from reserve_agent.contract.events.faults import NodeReset
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent
from reserve_agent.contract.events.membership import ViewInstalled
from reserve_agent.contract.events.pressure import (
    AgentLate,
    JournalFollowed,
    PacketDropped,
    PoolConfigured,
    PressureBegan,
    SocketAttached,
)
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import ServiceStarted, ServiceStopped
from reserve_agent.record import NodeHistory, NodeSummary

SOCKET: dict[str, str | int | bool] = {
    "name": "disk",
    "in_flight": 16,
    "request_bytes": 16412,
    "reply_bytes": 82,
}
LIFE: list[Event] = [
    JournalFollowed(t=1, next=7),
    PoolConfigured(t=2, total=0, reserve=0, clean=0, computed=0, policy="none", metrics_port=4711),
    SocketAttached(t=3, socket=SOCKET),
    DaemonReady(t=4, name="heartbeat"),
    ViewInstalled(t=5, number=1, members=["n1", "n2"], removed=[], added=[]),
    HeartbeatMissed(t=6, peer="n2", deadline=6),
    PacketDropped(t=7, hook="receive", cls="other", reason="reserve_exhausted", entry=7),
]


OPEN: list[Agent] = []


class Agent:
    """The part of an agent that writes."""

    def __init__(self, path: Path) -> None:
        self.observed: list[Event] = []
        self.history = NodeHistory(path, "n1", self.observed.append)
        OPEN.append(self)

    def killed(self) -> None:
        """What waits is gone."""
        self.history._file.close()

    def records(self) -> list[dict[str, Any]]:
        return [event.record() for event in self.observed]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.observed]


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "n1.jsonl"
    while OPEN:
        OPEN.pop().killed()


def lived(path: Path) -> Agent:
    agent = Agent(path)
    for event in LIFE:
        agent.history.record(event)
    agent.history.flush()
    return agent


def test_a_successor_knows_what_the_other_knew(path: Path) -> None:
    first = lived(path)
    second = Agent(path)
    assert vars(second.history.summary) == vars(first.history.summary)
    state = second.history.summary
    assert (state.ready, state.view, state.misses) == ({"heartbeat": 1}, ["n1", "n2"], 1)
    assert (state.exhausted, state.metrics_port, state.next_entry) == (1, 4711, 8)
    assert state.sockets["disk"].in_flight == 16
    assert state.last_t == 7
    assert second.records() == first.records(), "its counters begin where the other's stood"


def test_a_node_that_lost_power_is_a_blank(path: Path) -> None:
    agent = lived(path)
    agent.history.record(NodeReset())
    state = agent.history.summary
    assert (state.ready, state.view, state.exhausted, state.sockets) == ({}, [], 0, {})
    assert (state.misses, state.next_entry) == (1, 8)


def test_who_serves_is_known_until_the_node_stops_or_loses_power(path: Path) -> None:
    agent = Agent(path)
    events: list[tuple[Event, bool]] = [
        (ServiceStarted(target="n1"), True),
        (ServiceStopped(target="n1"), False),
        (ServiceStarted(target="n1"), True),
        (NodeReset(), False),
    ]
    for event, serving in events:
        agent.history.record(event)
        assert agent.history.summary.serving is serving


def test_nothing_is_shown_that_a_kill_could_undo(path: Path) -> None:
    agent = Agent(path)
    agent.history.record(HeartbeatSent(peers=["n2"]))
    assert (agent.observed, path.read_bytes()) == ([], b"")
    agent.history.flush()
    assert agent.kinds() == ["heartbeat.sent"]
    assert lines(path) == agent.records()


def test_what_a_daemon_says_again_is_not_written_again(path: Path) -> None:
    said = [
        {"t": t, "kind": "write.ack", "seq": t, "submitted": 1, "id": f"i:{t - 100}"}
        for t in range(100, 110)
    ]
    first = Agent(path)
    for event in said[:6]:
        first.history.report(dict(event))
    first.history.flush()
    second = Agent(path)
    for event in said[3:]:
        second.history.report(dict(event))
    second.history.close()
    assert [event["seq"] for event in lines(path)] == list(range(100, 110))
    assert second.kinds() == ["write.ack"] * 10


def test_the_same_word_twice_is_two_words_where_nobody_was_killed(path: Path) -> None:
    agent = Agent(path)
    for _ in range(2):
        agent.history.report({"t": 1, "kind": "agent.late", "late_ns": 1})
    agent.history.flush()
    assert agent.kinds() == ["agent.late", "agent.late"]


def test_a_line_that_a_kill_has_cut_short_is_removed(path: Path) -> None:
    lived(path)
    with path.open("ab") as file:
        file.write(b'{"t": 8, "kind": "da')
    agent = Agent(path)
    agent.history.record(AgentLate(t=9, late_ns=1))
    agent.history.close()
    assert [event["t"] for event in lines(path)] == [1, 2, 3, 4, 5, 6, 7, 9]


def test_an_event_that_makes_no_sense_is_not_written(path: Path) -> None:
    agent = Agent(path)
    with pytest.raises(TypeError):
        agent.history.record(SocketAttached(socket={"name": "disk"}))
    for message in ({"kind": "socket.detached"}, {"name": "disk"}, {"kind": "late", "t": "now"}):
        with pytest.raises(MalformedEvent):
            agent.history.report(dict(message))
    agent.history.flush()
    assert path.read_bytes() == b""


def test_what_a_daemon_says_is_on_file_as_it_was_said(path: Path) -> None:
    """Also an event of a newer version, whose fields nobody here knows."""
    agent = Agent(path)
    said = {"t": 5, "kind": "from.the.future", "what": [1, 2]}
    agent.history.report(dict(said))
    agent.history.flush()
    assert lines(path) == [{**said, "node": "n1", "id": "a:0"}]


def test_entries_of_the_journal_are_followed_by_number() -> None:
    state = NodeSummary()
    assert state.next_entry is None
    state.apply(PressureBegan(t=1, free=256, entry=41))
    assert state.next_entry == 42


def test_every_event_is_numbered_by_its_writer_also_by_a_successor(path: Path) -> None:
    first = Agent(path)
    first.history.record(AgentLate(t=1, late_ns=1))
    first.history.report({"t": 2, "kind": "daemon.ready", "name": "heartbeat", "id": "h:0"})
    first.history.flush()
    first.killed()
    second = Agent(path)
    second.history.record(NodeReset(t=3))
    second.history.report({"t": 4, "kind": "daemon.ready", "name": "heartbeat", "id": "h:0"})
    second.history.report({"t": 5, "kind": "agent.late", "late_ns": 2})
    second.history.close()
    assert [event["id"] for event in lines(path)] == ["a:0", "h:0", "a:1", "h1:0", "a:2"]


def test_a_part_that_is_finished_says_what_it_holds_and_takes_no_more(path: Path) -> None:
    agent = lived(path)
    agent.killed()
    successor = Agent(path)
    successor.history.report({"t": 9, "kind": "agent.late", "late_ns": 2, "id": "h:0"})
    successor.history.finish()
    *before, last = path.read_bytes().splitlines(keepends=True)
    closed = orjson.loads(last)
    assert (closed["kind"], closed["node"], closed["id"]) == ("part.closed", "n1", "a:7")
    assert closed["writers"] == {"a": 7, "h": 1}
    assert closed["kinds"]["agent.late"] == 1 and sum(closed["kinds"].values()) == 8
    assert closed["sha256"] == hashlib.sha256(b"".join(before)).hexdigest()
    with pytest.raises(ValueError, match="closed"):
        successor.history.finish()


@pytest.mark.parametrize("id_", [7, "", "h", "h:", ":1", "h:-1", "h:x", "h1:1"])
def test_an_id_that_is_none_is_refused(id_: object, path: Path) -> None:
    agent = Agent(path)
    with pytest.raises(MalformedEvent, match="id: expected"):
        agent.history.report({"t": 1, "kind": "agent.late", "late_ns": 1, "id": id_})
