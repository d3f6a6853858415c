"""The supervisor over nodes that are stand-ins: health, ejections, reboots, deaths."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from crunchbed.backends.common.live_agent import LiveAgent
from crunchbed.backends.common.live_run import LiveRun, ended_by_itself
from crunchbed.backends.common.targets import Targets
from crunchbed.backends.common.world import LiveWorld
from crunchbed.backends.namespaces.live_node import LiveNode
from crunchbed.history.recorder import Recorder
from crunchbed.host import room
from crunchbed.run.inject import Injection
from crunchbed.run.loop import SelectorLoop
from crunchbed.run.plan import Burst, Plan
from crunchbed.run.progress import Progress
from crunchbed.run.signals import interruptible
from crunchbed.run.supervisor import Supervisor
from crunchbed.run.world import Loop, NodeStatus, World
from crunchbed.scenario.loader import load
from nodes.process import Process, spawn
from nodes.waiting import wait_until
from reserve_agent.contract.events.base import Event
from reserve_agent.errors import CrunchbedError, RunInvalid
from tests.unit.heap_loop import HeapLoop

NAMES = ("n1", "n2", "n3")
READY = ("heartbeat", "initiator", "traffic")
HEALTHY = NodeStatus(
    up=True,
    ready=READY,
    view=NAMES,
    serving=False,
    misses=0,
    written_pages=0,
    exhausted=0,
    policy="memalloc",
    pressure=False,
    waiting_pages=0,
    free_pages=8000,
    reserve_pages=256,
)


class Node:
    """A node that is what the test wants it to be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.up = True
        self.incarnation = 0
        self.noted: list[Event] = []
        self.dead: Process | None = None
        self.serves = False
        self.watchdog = False
        self.now = HEALTHY

    def boot(self) -> None:
        self.now = HEALTHY

    def be(self, **changes: Any) -> None:
        self.now = replace(self.now, **changes)

    @property
    def daemon_names(self) -> tuple[str, ...]:
        return ("heartbeat", "service" if self.serves else "initiator", "traffic")

    def watchdog_due(self) -> bool:
        return self.watchdog

    def status(self) -> NodeStatus:
        return self.now

    def note(self, event: Event) -> None:
        self.noted.append(event)

    def power_off(self) -> None:
        self.up = False
        self.incarnation += 1
        self.be(ready=(), view=())

    def power_on(self) -> None:
        self.up = True

    def check(self) -> None:
        if self.dead is not None:
            raise ended_by_itself(self.dead)


class Cluster:
    """A supervisor and its nodes, on a clock that nobody waits for unless the test wants one."""

    def __init__(
        self, scratch: Path, panics: bool = False, confirm: bool = True, loop: Loop | None = None
    ) -> None:
        self.nodes = {name: Node(name) for name in NAMES}
        self.loop = loop or HeapLoop()
        self.recorder = Recorder(scratch / "run.jsonl", self.loop.now_ns)
        self.released: list[str] = []
        world = SimpleNamespace(nodes=self.nodes, check=lambda: None, released=self.released.append)
        self.world = cast(World, world)
        self.supervisor = Supervisor(
            self.world,
            self.loop,
            self.recorder,
            Progress(),
            reboot_delay_ns=50_000_000,
            panics=panics,
            confirm=confirm,
        )
        self.file = scratch / "run.jsonl"

    def look(self) -> None:
        """Have the supervisor look at everything once."""
        self.supervisor.wait(0.021)

    def recorded(self) -> list[str]:
        return [json.loads(line)["kind"] for line in self.file.read_bytes().splitlines()]

    def close(self) -> None:
        self.recorder.close()


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
        ({"ready": ("heartbeat",)}, "n2: initiator, traffic not ready"),
        ({"view": ("n2", "n3")}, "n2 sees n2, n3"),
        ({"view": ()}, "n2 sees nobody"),
        ({"pressure": True}, "n2 is under memory pressure"),
    ],
)
def test_what_is_not_healthy_is_said(change: dict[str, Any], reason: str, cluster: Cluster) -> None:
    cluster.nodes["n2"].be(**change)
    assert cluster.supervisor.unhealthy() == reason
    with pytest.raises(RunInvalid, match=f"did not become healthy in 0.05 s: {reason}"):
        cluster.supervisor.require_health(0.05)


def test_a_node_that_has_booted_is_healthy_once_all_see_it_again(cluster: Cluster) -> None:
    cluster.supervisor.fence("n1", by="n2")
    assert cluster.supervisor.unhealthy() == "n1 is down"
    assert cluster.supervisor.wait_until(lambda: cluster.nodes["n1"].up, 2)
    assert cluster.supervisor.unhealthy() == "n1: heartbeat, initiator, traffic not ready"
    cluster.nodes["n1"].be(ready=READY)
    assert cluster.supervisor.unhealthy() == "n1 sees nobody"
    cluster.nodes["n1"].boot()
    assert cluster.supervisor.unhealthy() is None


@pytest.mark.parametrize("name", NAMES)
def test_who_asks_again_hears_of_every_node(name: str, cluster: Cluster) -> None:
    """Whichever node was not healthy the last time, and in whatever order they are asked."""
    supervisor = cluster.supervisor
    for before in NAMES:
        cluster.nodes[before].be(pressure=True)
        assert not supervisor.healthy()
        cluster.nodes[before].boot()
        cluster.nodes[name].be(view=NAMES[:2])
        assert not supervisor.healthy()
        cluster.nodes[name].boot()
        assert supervisor.healthy()


# --- ejection


def test_a_fence_is_recorded_and_its_node_boots_after_the_delay(cluster: Cluster) -> None:
    assert cluster.supervisor.fence("n1", by="n2")
    assert not cluster.nodes["n1"].up
    cluster.look()
    assert not cluster.nodes["n1"].up
    cluster.supervisor.wait(0.1)
    assert cluster.nodes["n1"].up
    kinds = ["fence.start", "node.down", "fence.confirmed", "node.up"]
    assert cluster.recorded() == kinds
    assert [event.kind for event in cluster.nodes["n1"].noted] == ["node.ejected"]
    assert cluster.released == ["n1"], "it may be fenced again"


def test_nobody_boots_once_the_run_is_over(cluster: Cluster) -> None:
    """Else a node would write while the blocks are read back."""
    cluster.supervisor.fence("n1", by="n2")
    cluster.supervisor.cancel_reboots()
    cluster.supervisor.wait(0.1)
    assert not cluster.nodes["n1"].up


def test_a_node_panics_where_the_scenario_says_so(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, panics=True)
    cluster.nodes["n3"].be(exhausted=1)
    cluster.look()
    assert not cluster.nodes["n3"].up
    assert cluster.recorded() == ["node.down"]
    cluster.close()


# --- deaths


def test_who_died_is_named_with_its_last_words(cluster: Cluster, tmp_path: Path) -> None:
    cluster.nodes["n1"].dead = a_process(tmp_path, "sh", "-c", "echo no memory >&2; exit 3")
    with pytest.raises(RunInvalid, match=r"n1 agent ended by itself \(3\): no memory$"):
        cluster.look()


def test_one_that_died_without_a_word(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = a_process(tmp_path, "sh", "-c", "kill -9 $$")
    of_processes: Any = SimpleNamespace(_watched=[process], _record_late_parts=lambda: None)
    check = LiveWorld.check
    monkeypatch.setattr(cluster.world, "check", lambda: check(of_processes))
    with pytest.raises(RunInvalid, match=rf"ended by itself \(-9\): no word in {process.log}"):
        cluster.supervisor.wait(1)


def test_a_disk_that_has_no_room_left_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[bool] = []
    of_nothing: Any = SimpleNamespace(
        _watched=[], _record_late_parts=lambda: noted.append(True), _run=live_run(tmp_path)
    )
    LiveWorld.check(of_nothing)
    monkeypatch.setattr(room, "is_full", lambda path: path == tmp_path)
    with pytest.raises(RunInvalid, match=f"^{tmp_path}: no room is left"):
        LiveWorld.check(of_nothing)
    assert len(noted) == 2, "what stood still is written down first"


class DeadClient:
    def ask(self, **_message: Any) -> None:
        raise CrunchbedError("/run/n1.agent: no answer to status")


def live_run(scratch: Path) -> LiveRun:
    """A run of the namespaces that keeps everything in one directory."""
    places = (scratch, scratch, scratch)
    return LiveRun(load("control"), "k3xq", *places, cast(Targets, None), lambda _process: None)


def agent_with(process: Process, scratch: Path) -> LiveAgent:
    agent = LiveAgent("n1", live_run(scratch), "agent")
    agent.process, agent._client = process, DeadClient()  # type: ignore[assignment]
    return agent


def test_an_agent_that_is_asked_and_has_died_is_named(tmp_path: Path) -> None:
    agent = agent_with(a_process(tmp_path, "sh", "-c", "exit 9"), tmp_path)
    with pytest.raises(RunInvalid, match=r"n1 agent ended by itself \(9\)"):
        agent.ask("status")


def test_an_agent_that_lives_and_does_not_answer_is_another_matter(tmp_path: Path) -> None:
    argv = ("sleep", "60")
    agent = spawn(argv, name="n1 agent", log=tmp_path / "log", netns_pid=None, cgroup=None)
    try:
        with pytest.raises(CrunchbedError, match="no answer to status"):
            agent_with(agent, tmp_path).ask("status")
    finally:
        agent.kill()


# --- the crunch


BURST = Plan("writeback", "n1", 0, burst=Burst(100, 1000))


def injection(cluster: Cluster) -> Injection:
    return Injection(BURST, cluster.world, cluster.recorder, cluster.loop)


def test_a_node_that_is_down_takes_no_crunch(cluster: Cluster) -> None:
    cluster.nodes["n1"].up = False
    with pytest.raises(RunInvalid, match="n1 is down before the crunch"):
        injection(cluster).begin()
    assert cluster.recorded() == []


def node_of_processes(scratch: Path, **daemons: Process) -> LiveNode:
    """A node of which there is no more than some daemons."""
    node = object.__new__(LiveNode)
    node.name, node.daemons = "n1", daemons
    node._run = live_run(scratch)
    node.agent = cast(LiveAgent, SimpleNamespace(process=None))
    return node


def test_an_initiator_that_died_is_named(tmp_path: Path) -> None:
    dead = a_process(tmp_path, "sh", "-c", "echo NBD; exit 1")
    with pytest.raises(RunInvalid, match=r"ended by itself \(1\): NBD"):
        node_of_processes(tmp_path, initiator=dead).begin_burst(1, 1, 0)
    assert ended_by_itself(dead).exit_code == 3


def test_an_initiator_that_does_not_answer_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(RunInvalid, match=r"n1 does not take burst: .*nobody answers"):
        node_of_processes(tmp_path).begin_burst(100, 1000, 0)


# --- interruption


def test_every_wait_may_be_interrupted(tmp_path: Path) -> None:
    loop = SelectorLoop()
    cluster = Cluster(tmp_path, loop=loop)
    waits = [
        lambda: cluster.supervisor.wait(60),
        lambda: cluster.supervisor.wait_until(lambda: False, 60),
        lambda: loop.step(0),
    ]
    for wait in waits:
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
            wait()
    cluster.close()
    loop.close()
