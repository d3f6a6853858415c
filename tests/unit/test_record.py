"""A node's history as the memory of its agents, one of which may be killed at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reserve_agent.record import NodeHistory, NodeState

SOCKET = {"name": "disk", "in_flight": 16, "request_bytes": 16412, "reply_bytes": 82}
LIFE: list[dict[str, Any]] = [
    {"t": 1, "kind": "journal.follow", "next": 7},
    {"t": 2, "kind": "pool.config", "metrics_port": 4711},
    {"t": 3, "kind": "socket.attached", "socket": SOCKET},
    {"t": 4, "kind": "daemon.ready", "name": "heartbeat"},
    {"t": 5, "kind": "membership.view", "members": ["n1", "n2"]},
    {"t": 6, "kind": "heartbeat.miss", "peer": "n2"},
    {"t": 7, "kind": "drop", "reason": "reserve_exhausted", "entry": 7},
]


OPEN: list[Agent] = []


class Agent:
    """The part of an agent that writes."""

    def __init__(self, path: Path) -> None:
        self.observed: list[dict[str, Any]] = []
        self.history = NodeHistory(path, "n1", self.observed.append)
        OPEN.append(self)

    def killed(self) -> None:
        """What waits is gone."""
        self.history._file.close()

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.observed]


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
        agent.history.record(dict(event))
    agent.history.flush()
    return agent


def test_a_successor_knows_what_the_other_knew(path: Path) -> None:
    first = lived(path)
    second = Agent(path)
    assert vars(second.history.state) == vars(first.history.state)
    state = second.history.state
    assert (state.ready, state.view, state.misses) == ({"heartbeat": 1}, ["n1", "n2"], 1)
    assert (state.exhausted, state.metrics_port, state.next_entry) == (1, 4711, 8)
    assert state.sockets["disk"].in_flight == 16
    assert state.last_t == 7
    assert second.observed == first.observed, "its counters begin where the other's stood"


def test_a_node_that_lost_power_is_a_blank(path: Path) -> None:
    agent = lived(path)
    agent.history.record({"kind": "node.reset"})
    state = agent.history.state
    assert (state.ready, state.view, state.exhausted, state.sockets) == ({}, [], 0, {})
    assert (state.misses, state.next_entry) == (1, 8)


def test_who_serves_is_known_until_the_node_stops_or_loses_power(path: Path) -> None:
    agent = Agent(path)
    for kind, serving in (
        ("service.start", True),
        ("service.stop", False),
        ("service.start", True),
        ("node.reset", False),
    ):
        agent.history.record({"kind": kind, "target": "n1"})
        assert agent.history.state.serving is serving


def test_nothing_is_shown_that_a_kill_could_undo(path: Path) -> None:
    agent = Agent(path)
    agent.history.record({"kind": "heartbeat.sent", "peers": ["n2"]})
    assert (agent.observed, path.read_bytes()) == ([], b"")
    agent.history.flush()
    assert agent.kinds() == ["heartbeat.sent"]
    assert lines(path) == agent.observed


def test_what_a_daemon_says_again_is_not_written_again(path: Path) -> None:
    said = [{"t": t, "kind": "write.ack", "seq": t} for t in range(100, 110)]
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
        agent.history.report({"t": 1, "kind": "late"})
    agent.history.flush()
    assert agent.kinds() == ["late", "late"]


def test_a_line_that_a_kill_has_cut_short_is_removed(path: Path) -> None:
    lived(path)
    with path.open("ab") as file:
        file.write(b'{"t": 8, "kind": "da')
    agent = Agent(path)
    agent.history.record({"t": 9, "kind": "late"})
    agent.history.close()
    assert [event["t"] for event in lines(path)] == [1, 2, 3, 4, 5, 6, 7, 9]


def test_an_event_that_makes_no_sense_is_not_written(path: Path) -> None:
    agent = Agent(path)
    with pytest.raises(TypeError):
        agent.history.record({"kind": "socket.attached", "socket": {"name": "disk"}})
    agent.history.flush()
    assert path.read_bytes() == b""


def test_entries_of_the_journal_are_followed_by_number() -> None:
    state = NodeState()
    assert state.next_entry is None
    state.apply({"t": 1, "kind": "pressure.begin", "free": 256, "entry": 41})
    assert state.next_entry == 42
