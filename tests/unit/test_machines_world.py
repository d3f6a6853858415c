"""A world of machines: what is told of a boot that fails, and of an end that does."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crunchbed.backends.common import world as common
from crunchbed.backends.common.live_run import LiveRun
from crunchbed.backends.common.part_watch import PartWatch
from crunchbed.backends.common.targets import Targets
from crunchbed.backends.machines import world as machines
from crunchbed.backends.machines.images import Image
from crunchbed.backends.machines.world import MachinesWorld
from crunchbed.history.recorder import Recorder
from crunchbed.run.loop import SelectorLoop
from crunchbed.scenario.loader import load
from nodes.process import Process
from reserve_agent.errors import BadInput, CrunchbedError, RunInvalid


class Node:
    """Stands for a machine.

    Args:
        name: The node's.
        writing: What its attendant answers at the end, one after the other.
        ready: The daemons that get ready.
    """

    daemon_names = ("heartbeat",)

    def __init__(self, name: str, *writing: bool | Exception, ready: tuple[str, ...] = ()) -> None:
        self.name = name
        self.ready = dict.fromkeys(ready, 1)
        self.has_guest = True
        self.asked = 0
        self._answers = iter(writing)

    def power_on(self) -> None:
        """Boot."""

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(ready=self.ready)

    def ask_to_quiesce(self) -> bool:
        self.asked += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return not answer

    def end(self) -> None:
        self.has_guest = False


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Any]:
    scenario = load("control").with_overrides({"cluster.backend": "machines"})
    places = (tmp_path, tmp_path, tmp_path)
    targets = Targets("k3xq", scenario, tmp_path)
    run = LiveRun(scenario, "k3xq", *places, targets=targets, started=lambda _: None)
    image = Image("6.1", tmp_path, ("e1000",))
    with (
        closing(SelectorLoop()) as loop,
        closing(Recorder(tmp_path / "run.jsonl", loop.now_ns)) as recorder,
    ):
        yield MachinesWorld(run, image, recorder, loop)


def nodes(*made: Node) -> dict[str, Node]:
    return {node.name: node for node in made}


def test_at_the_end_everybody_is_asked_and_whoever_does_not_take_it_is_named(world: Any) -> None:
    refused = RunInvalid("n1 does not take quiesce: agent: no room")
    world.nodes = nodes(Node("n1", refused), Node("n2", True, True, False), Node("n3", refused))
    with pytest.raises(RunInvalid, match=r"^n1 does not take .*: no room; n1 does not take "):
        world._end_nodes()
    assert [node.asked for node in world.nodes.values()] == [1, 3, 1]
    assert not any(node.has_guest for node in world.nodes.values())
    world._end_nodes()
    assert [node.asked for node in world.nodes.values()] == [1, 3, 1], "nobody is there any more"


@pytest.fixture
def sleeper() -> Iterator[Process]:
    """Stands for a QEMU that somebody has stopped."""
    with subprocess.Popen(["sleep", "60"]) as popen:
        popen.send_signal(signal.SIGSTOP)
        yield Process("n1 machine", Path(os.devnull), popen)
        popen.kill()


@pytest.mark.parametrize("joined", [True, False], ids=["in its cgroup", "before it has joined it"])
def test_a_boot_that_takes_too_long_says_which_machine_stood_still(
    joined: bool, world: Any, sleeper: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "_BOOT_SECONDS", 0.6)
    monkeypatch.setattr(machines, "_BOOT_SECONDS_EACH", 0.0)
    monkeypatch.setattr(common, "_LONG_NS", 100_000_000)
    (tmp_path / "cgroup" / "n1").mkdir(parents=True)
    procs = f"{sleeper.pid}\n" if joined else ""
    (tmp_path / "cgroup" / "n1" / "cgroup.procs").write_text(procs)
    world.nodes = nodes(Node("n1"), Node("n2", ready=("heartbeat",)))
    world._parts = PartWatch(tmp_path / "cgroup")
    world._parts.add(sleeper)
    world._parts.begin()
    stood = r"; the machine of n1 stood still for 0\.\d{3} s$"
    with pytest.raises(RunInvalid, match=rf"^not up after 0\.6 s: n1; see .*{stood}"):
        world._boot_nodes()


@pytest.mark.parametrize("error", [BadInput("a.yaml:3: no"), CrunchbedError("n1 has ended")])
def test_a_boot_that_fails_while_nothing_stands_still_says_what_it_said(
    error: CrunchbedError, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(world, "_power_on", fail)
    with pytest.raises(CrunchbedError) as raised:
        world._boot_nodes()
    assert raised.value is error
