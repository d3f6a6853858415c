"""The run's loop over nodes that are stand-ins: health, ejections, reboots, deaths."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crunchbed.backends.namespaces.live_node import LiveNode, ended_by_itself
from crunchbed.history.recorder import Recorder
from crunchbed.run.inject import Injection, WritebackCrunch
from crunchbed.run.plan import Burst, Plan
from crunchbed.run.progress import NoProgress
from crunchbed.run.signals import interruptible
from crunchbed.run.supervisor import Supervisor
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError, RunInvalid

NAMES = ("n1", "n2", "n3")


class Node:
    """A node whose agent says what the test wants."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.up = True
        self.incarnation = 0
        self.asked: list[str] = []
        self.dead: Process | None = None
        self.serves = False
        self.watchdog = False
        self.status: dict[str, Any] = {}
        self.boot()
        self.control_socket = Path("/nonexistent/socket")

    def boot(self) -> None:
        self.status = {
            "ready": {"heartbeat": 1, "initiator": 1, "traffic": 1},
            "view": list(NAMES),
            "pool": {"pressure": 0, "demand": 0},
            "exhausted": 0,
            "serving": False,
        }

    @property
    def daemon_names(self) -> tuple[str, ...]:
        return ("heartbeat", "service" if self.serves else "initiator", "traffic")

    def watchdog_due(self) -> bool:
        return self.watchdog

    def ask(self, op: str, **_fields: Any) -> dict[str, Any]:
        self.asked.append(op)
        return self.status if op == "status" else {"ok": True}

    def power_off(self) -> None:
        self.up = False
        self.incarnation += 1
        self.status["ready"], self.status["view"] = {}, []

    def power_on(self) -> None:
        self.up = True

    def dead_daemon(self) -> Process | None:
        return self.dead


class Cluster:
    """A supervisor and its nodes."""

    def __init__(self, scratch: Path, panics: bool = False, confirm: bool = True) -> None:
        self.nodes = {name: Node(name) for name in NAMES}
        self.recorder = Recorder(scratch / "run.jsonl")
        self.supervisor = Supervisor(
            self.nodes,  # type: ignore[arg-type]
            0.05,
            panics,
            self.recorder,
            NoProgress(),
            confirm,
        )
        self.file = scratch / "run.jsonl"

    def recorded(self) -> list[str]:
        return [json.loads(line)["kind"] for line in self.file.read_bytes().splitlines()]

    def close(self) -> None:
        self.recorder.close()
        self.supervisor._selector.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def a_process(scratch: Path, *argv: str) -> Process:
    process = spawn(argv, name="n1 agent", log=scratch / "log", netns_pid=None, cgroup=None)
    wait_until(lambda: process.poll() is not None, 5, "its end")
    return process


# --- health


def test_a_healthy_cluster(cluster: Cluster) -> None:
    assert cluster.supervisor.unhealthy() is None
    cluster.supervisor.require_health(1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ready": {"heartbeat": 1}}, "n2: initiator, traffic not ready"),
        ({"view": ["n2", "n3"]}, "n2 sees n2, n3"),
        ({"view": []}, "n2 sees nobody"),
        ({"pool": {"pressure": 1}}, "n2 is under memory pressure"),
    ],
)
def test_what_is_not_healthy_is_said(change: dict[str, Any], reason: str, cluster: Cluster) -> None:
    cluster.nodes["n2"].status |= change
    assert cluster.supervisor.unhealthy() == reason
    with pytest.raises(RunInvalid, match=f"did not become healthy in 0.05 s: {reason}"):
        cluster.supervisor.require_health(0.05)


def test_a_node_that_has_booted_is_healthy_once_all_see_it_again(cluster: Cluster) -> None:
    cluster.supervisor.fence("n1", by="n2")
    assert cluster.supervisor.unhealthy() == "n1 is down"
    assert cluster.supervisor.wait_until(lambda: cluster.nodes["n1"].up, 2)
    assert cluster.supervisor.unhealthy() == "n1: heartbeat, initiator, traffic not ready"
    cluster.nodes["n1"].status["ready"] = {"heartbeat": 1, "initiator": 1, "traffic": 1}
    assert cluster.supervisor.unhealthy() == "n1 sees nobody"
    cluster.nodes["n1"].boot()
    assert cluster.supervisor.unhealthy() is None


# --- ejection


def test_a_fence_is_recorded_and_its_node_boots_after_the_delay(cluster: Cluster) -> None:
    assert cluster.supervisor.fence("n1", by="n2")
    assert not cluster.nodes["n1"].up
    cluster.supervisor.pump(0)
    assert not cluster.nodes["n1"].up
    cluster.supervisor.wait(0.1)
    assert cluster.nodes["n1"].up
    kinds = ["fence.start", "node.down", "fence.confirmed", "node.up"]
    assert cluster.recorded() == kinds
    assert cluster.nodes["n1"].asked == ["event"]


def test_nobody_boots_once_the_run_is_over(cluster: Cluster) -> None:
    """Else a node would write while the blocks are read back."""
    cluster.supervisor.fence("n1", by="n2")
    cluster.supervisor.cancel_reboots()
    cluster.supervisor.wait(0.1)
    assert not cluster.nodes["n1"].up


def test_a_node_panics_where_the_scenario_says_so(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, panics=True)
    cluster.nodes["n3"].status["exhausted"] = 1
    cluster.supervisor.pump(0)
    assert not cluster.nodes["n3"].up
    assert cluster.recorded() == ["node.down"]
    cluster.close()


# --- deaths


def test_who_died_is_named_with_its_last_words(cluster: Cluster, tmp_path: Path) -> None:
    cluster.nodes["n1"].dead = a_process(tmp_path, "sh", "-c", "echo no memory >&2; exit 3")
    with pytest.raises(RunInvalid, match=r"n1 agent ended by itself \(3\): no memory$"):
        cluster.supervisor.pump(0)


def test_one_that_died_without_a_word(cluster: Cluster, tmp_path: Path) -> None:
    process = a_process(tmp_path, "sh", "-c", "kill -9 $$")
    cluster.supervisor.others.append(process)
    with pytest.raises(RunInvalid, match=rf"ended by itself \(-9\): no word in {process.log}"):
        cluster.supervisor.wait(1)


class DeadClient:
    def ask(self, **_message: Any) -> None:
        raise CrunchbedError("/run/n1.agent: no answer to status")


def node_with(agent: Process) -> LiveNode:
    node = object.__new__(LiveNode)
    node._agents_cgroup = None
    node.name, node._agent, node._client = "n1", agent, DeadClient()  # type: ignore[assignment]
    return node


def test_an_agent_that_is_asked_and_has_died_is_named(tmp_path: Path) -> None:
    node = node_with(a_process(tmp_path, "sh", "-c", "exit 9"))
    with pytest.raises(RunInvalid, match=r"n1 agent ended by itself \(9\)"):
        node.ask("status")


def test_an_agent_that_lives_and_does_not_answer_is_another_matter(tmp_path: Path) -> None:
    argv = ("sleep", "60")
    agent = spawn(argv, name="n1 agent", log=tmp_path / "log", netns_pid=None, cgroup=None)
    try:
        with pytest.raises(CrunchbedError, match="no answer to status"):
            node_with(agent).ask("status")
    finally:
        agent.kill()


# --- the crunch


BURST = Plan("writeback", "n1", 0, burst=Burst(100, 1000))


def injection(cluster: Cluster) -> Injection:
    return Injection(BURST, cluster.nodes["n1"], cluster.recorder, None)  # type: ignore[arg-type]


def test_a_node_that_is_down_takes_no_crunch(cluster: Cluster) -> None:
    cluster.nodes["n1"].up = False
    with pytest.raises(RunInvalid, match="n1 is down before the crunch"):
        injection(cluster).begin()
    assert cluster.recorded() == []


def test_an_initiator_that_died_is_named(cluster: Cluster, tmp_path: Path) -> None:
    dead = cluster.nodes["n1"].dead = a_process(tmp_path, "sh", "-c", "echo NBD; exit 1")
    crunch = WritebackCrunch(cluster.nodes["n1"], Burst(1, 1))  # type: ignore[arg-type]
    with pytest.raises(RunInvalid, match=r"ended by itself \(1\): NBD"):
        crunch.begin(0)
    assert ended_by_itself(dead).exit_code == 3


def test_an_initiator_that_does_not_answer_is_named_too(cluster: Cluster) -> None:
    with pytest.raises(RunInvalid, match=r"n1 does not take burst: .*nobody answers"):
        injection(cluster).begin()


# --- interruption


def test_every_wait_may_be_interrupted(cluster: Cluster) -> None:
    waits = [
        lambda: cluster.supervisor.wait(60),
        lambda: cluster.supervisor.wait_until(lambda: False, 60),
        lambda: cluster.supervisor.pump(0),
    ]
    for wait in waits:
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
            wait()
