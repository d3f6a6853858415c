"""The agent's conversation with daemons and run; its hooks and pool are stand-ins."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from reserve_agent import agent as module
from reserve_agent.agent import Agent
from reserve_agent.config import AgentConfig
from reserve_agent.contract.packets import MAX_WINDOWS, Hook, PacketClass, Policy, Reason
from reserve_agent.hooks.layout import POOL_FIELDS, Config, Journal, Pool, Windows
from reserve_agent.hooks.loader import HookSettings
from reserve_agent.hooks.profile import Constants
from reserve_agent.lines.server import LineServer


class Hooks:
    """What the agent sees of loaded hooks."""

    def __init__(self, fixed: Constants) -> None:
        self.fixed = fixed
        self.pool, self.journal = Pool(total=16384, reserve=256, free=8192), Journal()
        self.config, self.windows = Config(), Windows()

    def configure(self, settings: HookSettings) -> None:
        self.config.policy = settings.policy

    def close(self) -> None:
        pass

    def counters(self) -> dict[tuple[Hook, PacketClass, Reason], tuple[int, int]]:
        return {(Hook.RECEIVE, PacketClass.OTHER, Reason.GRANTED): (3, 4)}


class Operations:
    """What the agent does to the pool, by name."""

    def __init__(self, hooks: Hooks) -> None:
        self.done: list[tuple[Any, ...]] = []
        self._pool = hooks.pool

    def snapshot(self) -> dict[str, int]:
        return {name: int(getattr(self._pool, name)) for name in POOL_FIELDS} | {"rx_running": 0}

    def resize(self, *_: int) -> bool:
        return True

    def reset(self, clean: int) -> None:
        self.done.append(("reset", clean))

    def tick(self) -> None:
        """Nothing happens meanwhile."""


class Node:
    """An agent whose loop is turned by the test, with its run and its daemons."""

    def __init__(self, scratch: Path) -> None:
        self.config = AgentConfig(
            node="n1",
            run="k3xq",
            scenario="control",
            netns_pid=1,
            interfaces=("eth0",),
            cgroup=scratch,
            pins=scratch,
            socket=scratch / "agent",
            history=scratch / "n1.jsonl",
            pages=16384,
            clean=8192,
            reserve=256,
            settings=HookSettings(Policy.NONE),
        )
        self.agent = Agent(self.config)
        self.agent._memory.metrics_port = 9
        server = LineServer(self.config.socket, self.agent._selector, self.agent._handle)
        self.agent._server = server
        self.run = self.connect()

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(2)
        connection.connect(str(self.config.socket))
        self.turn()
        return connection

    def turn(self) -> None:
        """Everything that is ready, once; then again, so that nothing stale is in the way."""
        for _ in range(2):
            for key, _ in self.agent._selector.select(0):
                key.data()

    def send(self, line: dict[str, Any]) -> None:
        self.run.sendall(orjson.dumps(line) + b"\n")

    def answer(self) -> dict[str, Any]:
        for key, _ in self.agent._selector.select(0):
            key.data()
        reply: dict[str, Any] = json.loads(self.run.recv(1 << 20))
        return reply

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        self.send({"op": op, **fields})
        return self.answer()

    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.config.history.read_bytes().splitlines()]

    def close(self) -> None:
        self.run.close()
        self.agent._server.close()
        self.agent._history.close()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(module, "NodeHooks", Hooks)
    monkeypatch.setattr(module.PoolHandle, "of", Operations)
    node = Node(tmp_path)
    yield node
    node.close()


def say(daemon: socket.socket, *events: dict[str, Any]) -> None:
    daemon.sendall(b"".join(orjson.dumps(event) + b"\n" for event in events))


READY = {"t": 1, "kind": "daemon.ready", "name": "heartbeat"}
VIEW = {"t": 2, "kind": "membership.view", "number": 1, "members": ["n1", "n2", "n3"]}


def test_status_is_what_the_daemons_have_said(node: Node) -> None:
    with node.connect() as daemon:
        say(daemon, READY, VIEW, {"t": 3, "kind": "heartbeat.miss", "peer": "n2", "deadline": 3})
        node.turn()
        status = node.ask("status")
    assert status["ready"] == {"heartbeat": 1}
    assert status["view"] == ["n1", "n2", "n3"]
    assert status["misses"] == 1
    assert status["pool"]["reserve"] == 256


def test_a_reboot_forgets_what_the_old_life_said(node: Node) -> None:
    with node.connect() as daemon:
        say(daemon, READY, VIEW)
        node.turn()
    assert node.ask("reset", clean=100) == {"ok": True}
    status = node.ask("status")
    assert (status["ready"], status["view"]) == ({}, [])
    assert node.agent._pool.done == [("reset", 8192), ("reset", 100)]


def test_a_reboot_forgets_also_what_it_had_not_heard_yet(node: Node) -> None:
    """The run's word comes first out of the selector, the dead daemon's last words after it."""
    daemon = node.connect()
    node.turn()
    node.send({"op": "reset", "clean": 100})
    say(daemon, READY, VIEW)
    daemon.close()
    assert node.answer() == {"ok": True}
    node.turn()
    status = node.ask("status")
    assert (status["ready"], status["view"]) == ({}, [])


def test_what_was_said_before_the_count_is_in_the_history_after_it(node: Node) -> None:
    """The read-back looks there for every acknowledged write."""
    daemon = node.connect()
    node.turn()
    node.send({"op": "packets"})
    write = {"t": 5, "kind": "write.ack", "seq": 1, "submitted": 1, "transport": "nbd"}
    say(daemon, *({**write, "seq": number} for number in range(2000)))
    daemon.close()
    assert node.answer() == {"ok": True}
    acknowledged = [event["seq"] for event in node.history() if event["kind"] == "write.ack"]
    assert acknowledged == list(range(2000))
    table = next(event for event in node.history() if event["kind"] == "packets")["table"]
    labels = {"hook": "receive", "class": "other", "verdict": "pass", "reason": "granted"}
    assert table == [{**labels, "packets": 3, "pages": 4}]


def test_a_daemon_is_told_what_is_on_file_and_not_before(node: Node) -> None:
    """What it is told of it forgets."""
    with node.connect() as daemon:
        daemon.setblocking(False)
        say(daemon, READY, VIEW)
        node.turn()
        with pytest.raises(BlockingIOError):
            daemon.recv(100)
        node.ask("packets")
        size = sum(len(orjson.dumps(event)) + 1 for event in (READY, VIEW))
        assert json.loads(daemon.recv(100)) == {"heard": size}
    kinds = [event["kind"] for event in node.history()]
    assert kinds[:2] == ["daemon.ready", "membership.view"]


def test_every_event_is_the_nodes_own_and_has_a_time(node: Node) -> None:
    node.ask("event", event={"kind": "node.ejected", "reason": "heartbeats_missed", "false": True})
    node.agent._history.flush()
    event = node.history()[-1]
    assert (event["node"], event["kind"]) == ("n1", "node.ejected")
    assert event["t"] > 0


def test_windows_are_added_in_order(node: Node) -> None:
    assert node.ask("windows", windows=[[10, 20, 5]]) == {"ok": True}
    assert node.ask("windows", windows=[[30, 40, 6], [50, 60, 7]]) == {"ok": True}
    windows, config = node.agent._hooks.windows, node.agent._hooks.config
    rows = [windows.entries[index] for index in range(config.windows)]
    assert [(row.start, row.end, row.level) for row in rows] == [
        (10, 20, 5),
        (30, 40, 6),
        (50, 60, 7),
    ]
    refused = node.ask("windows", windows=[[1, 2, 3]] * (MAX_WINDOWS - 2))
    assert refused == {"error": f"at most {MAX_WINDOWS} windows at a time, and 3 are to come"}


def test_windows_that_are_over_make_room_for_others(node: Node) -> None:
    assert node.ask("windows", windows=[[1, 2, 3]] * MAX_WINDOWS) == {"ok": True}
    hooks = node.agent._hooks
    hooks.pool.window = 1
    assert "error" in node.ask("windows", windows=[[4, 5, 6], [7, 8, 9]])
    hooks.pool.window = 2
    assert node.ask("windows", windows=[[4, 5, 6], [7, 8, 9]]) == {"ok": True}
    assert [hooks.windows.entries[index].start for index in range(3)] == [4, 7, 1]
    assert hooks.config.windows == MAX_WINDOWS + 2


@pytest.mark.parametrize(
    "question",
    [
        {"op": "frobnicate"},
        {"op": 7},
        {"op": ["status"]},
        {"op": "reset"},
        {"op": "windows", "windows": [[1]]},
        {"op": "windows", "windows": 3},
        {"op": "event", "event": 3},
        {"op": "_handle"},
        {"op": "answer"},
        {"op": "wake", "more": 1},
        {"op": "event", "event": {"kind": "node.ejected"}},
        {"op": "attach", "socket": {"name": "disk"}},
        {"op": "policy", "policy": "nice"},
    ],
)
def test_a_question_it_does_not_know_is_an_error_and_no_end(
    question: dict[str, Any], node: Node
) -> None:
    node.send(question)
    assert "error" in node.answer()
    assert "pool" in node.ask("status")


def test_an_event_that_nobody_can_read_is_counted_as_lost(node: Node) -> None:
    with node.connect() as daemon:
        say(daemon, {"t": 1}, {"t": 1, "kind": 7}, {"t": 1, "kind": "membership.view"}, READY)
        node.turn()
    assert node.ask("status")["ready"] == {"heartbeat": 1}
    lost = [event["count"] for event in node.history() if event["kind"] == "events.lost"]
    assert lost == [1, 1, 1]


def test_an_agent_that_is_told_to_end_closes_its_part(node: Node) -> None:
    node.ask("event", event={"kind": "node.ejected", "reason": "heartbeats_missed", "false": True})
    node.agent._stop()
    node.agent.close()
    *before, last = node.history()
    assert last["kind"] == "part.closed"
    assert last["writers"] == {"a": len(before)}


def test_an_agent_that_fails_leaves_its_part_open(node: Node) -> None:
    node.ask("event", event={"kind": "node.ejected", "reason": "heartbeats_missed", "false": True})
    node.agent.close()
    assert node.history()[-1]["kind"] == "node.ejected"
