"""The run while a node's agent is away: who looks is told so, who commands brings it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crunchbed.backends.common.live_agent import LiveAgent
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.faults.action import NotPossible
from crunchbed.faults.agent_crash import AgentCrash
from crunchbed.faults.holds import Holds
from crunchbed.run.world import NodeSilent, NodeStatus
from nodes.process import Process, spawn
from reserve_agent.contract.events.faults import FaultBegan
from reserve_agent.errors import RunInvalid
from tests.unit.test_supervisor import Cluster, live_run


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
    agent = LiveAgent("n1", live_run(tmp_path), "agent")
    agent._cgroup = tmp_path

    def start() -> None:
        log = tmp_path / "log"
        agent.process = spawn(["sleep", "60"], name="agent", log=log, netns_pid=None, cgroup=None)
        started.append(agent.process)

    def wait() -> None:
        agent._client = Client()  # type: ignore[assignment]

    monkeypatch.setattr(agent, "_spawn", start)
    monkeypatch.setattr(agent, "wait", wait)
    node = object.__new__(LiveNode)
    node.name, node.daemons, node.agent = "n1", {}, agent
    node.restart_agent()
    yield node
    for process in started:
        process.kill()


def test_a_killed_agent_is_no_daemon_that_died(node: LiveNode) -> None:
    process = node.agent.process
    assert process is not None
    assert node.kill_agent()
    assert process.poll() == -9
    node.check()
    assert not node.kill_agent(), "there is none"


def test_one_that_died_otherwise_is(node: LiveNode) -> None:
    assert node.agent.process is not None
    node.agent.process.kill()
    with pytest.raises(RunInvalid, match=r"agent ended by itself \(-9\)"):
        node.check()


def test_who_looks_is_told_and_who_commands_brings_the_next(node: LiveNode) -> None:
    node.kill_agent()
    with pytest.raises(NodeSilent, match="n1: its agent is down"):
        node.status()
    agent = node.agent
    assert agent.process is None
    assert agent.ask("windows") == {"asked": "windows"}
    assert agent.ask("status") == {"asked": "status"}
    first = agent.process
    node.restart_agent()
    assert agent.process is first, "harmless while there is one"


def test_the_fault_kills_and_brings_back(node: LiveNode) -> None:
    nodes: Any = SimpleNamespace(nodes={"n1": node})
    holds = Holds(nodes, lambda _node: None, lambda _things: None)
    world: Any = SimpleNamespace(world=nodes, holds=holds)
    fault = AgentCrash(kind="agent-crash").action(world)
    named = FaultBegan(fault="agent-crash", target="n1")
    assert fault.begin(named) == named
    with pytest.raises(NotPossible, match="the agent of n1 was down"):
        fault.begin(named)
    fault.undo()
    assert node.agent.ask("status") == {"asked": "status"}


def test_a_cluster_without_an_agent_is_not_healthy_and_nobody_panics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path, panics=True)

    def away() -> NodeStatus:
        raise NodeSilent("n2: its agent is down")

    monkeypatch.setattr(cluster.nodes["n2"], "status", away)
    assert cluster.supervisor.unhealthy() == "n2: its agent is down"
    cluster.look()
    assert cluster.recorded() == []
    cluster.close()
