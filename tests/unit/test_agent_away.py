"""The run while a node's agent is away: who looks is told so, who commands brings it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crunchbed.backends.namespaces.live_node import AgentAway, LiveNode
from crunchbed.faults.agent_crash import AgentCrash, AgentCrashAction
from crunchbed.faults.base import NotPossible
from nodes.process import Process, spawn
from reserve_agent.contract.events import FaultBegan
from tests.unit.test_supervisor import Cluster


class Client:
    """Stands for the connection to an agent."""

    def ask(self, **message: Any) -> dict[str, Any]:
        return {"asked": message["op"]}

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveNode]:
    """A node whose agents are sleepers."""
    started: list[Process] = []
    node = object.__new__(LiveNode)
    node.name, node._agents_cgroup, node._agent, node._client = "n1", tmp_path, None, None

    def start() -> None:
        log = tmp_path / "log"
        node._agent = spawn(["sleep", "60"], name="agent", log=log, netns_pid=None, cgroup=None)
        started.append(node._agent)

    def wait() -> None:
        node._client = Client()  # type: ignore[assignment]

    monkeypatch.setattr(node, "_spawn_agent", start)
    monkeypatch.setattr(node, "wait_for_agent", wait)
    node.daemons = {}
    node.restart_agent()
    yield node
    for process in started:
        process.kill()


def test_a_killed_agent_is_no_daemon_that_died(node: LiveNode) -> None:
    agent = node._agent
    assert agent is not None
    assert node.kill_agent()
    assert agent.poll() == -9
    assert node.dead_daemon() is None
    assert not node.kill_agent(), "there is none"


def test_one_that_died_otherwise_is(node: LiveNode) -> None:
    assert node._agent is not None
    node._agent.kill()
    assert node.dead_daemon() is node._agent


def test_who_looks_is_told_and_who_commands_brings_the_next(node: LiveNode) -> None:
    node.kill_agent()
    with pytest.raises(AgentAway, match="n1: its agent is down"):
        node.ask("status")
    assert node._agent is None
    assert node.ask("windows") == {"asked": "windows"}
    assert node.ask("status") == {"asked": "status"}
    first = node._agent
    node.restart_agent()
    assert node._agent is first, "harmless while there is one"


def test_the_fault_kills_and_brings_back(node: LiveNode) -> None:
    world: Any = SimpleNamespace(world=SimpleNamespace(nodes={"n1": node}))
    fault = AgentCrashAction(AgentCrash(kind="agent-crash"), world)
    named = FaultBegan(fault="agent-crash", target="n1")
    assert fault.begin(named) == named
    with pytest.raises(NotPossible, match="the agent of n1 was down"):
        fault.begin(named)
    fault.undo()
    assert node.ask("status") == {"asked": "status"}


def test_a_cluster_without_an_agent_is_not_healthy_and_nobody_panics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path, panics=True)

    def away(_op: str, **_fields: Any) -> dict[str, Any]:
        raise AgentAway("n2: its agent is down")

    monkeypatch.setattr(cluster.nodes["n2"], "ask", away)
    assert cluster.supervisor.unhealthy() == "n2: its agent is down"
    cluster.supervisor.pump(0)
    assert cluster.recorded() == []
    cluster.close()
