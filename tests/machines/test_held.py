"""A cluster of machines that is held open: commands from other terminals, and a guest's console."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.checks.result import Result
from nodes.waiting import wait_until
from tests.system.command import CLI, Command, children, run, traces

pytestmark = pytest.mark.root

CLUSTER = (
    *("--backend", "machines", "--set", "cluster.nodes=2", "--set", "cluster.switch=linux-bridge"),
    # A busy machine keeps this deadline, and a guest may stand still for a while.
    *("--set", "heartbeat.misses=100", "--set", "phases.control=11s", "--set", "traffic.rate=0"),
)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Command]:
    command = Command("up", "control", *CLUSTER, "--out", tmp_path / "out")
    try:
        command.wait_for("run ", 120)
        yield command
    finally:
        if command.popen.poll() is None:
            command.kill()
            run("clean")


def told(*arguments: str) -> Command:
    command = run(*arguments)
    assert command.popen.returncode == 0, (arguments, command.errors)
    return command


def refused(*arguments: str) -> str:
    command = run(*arguments)
    assert command.popen.returncode == 2, (arguments, command.errors)
    return command.errors[-1]


def typed(node: str, keys: str) -> str:
    """What a console shows of what somebody types who then goes."""
    command = [*CLI, "shell", node]
    done = subprocess.run(
        command, input=keys, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def stopped_guest_is_told_of_and_left(machine: int) -> None:
    command = [*CLI, "shell", "n2"]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    os.kill(machine, signal.SIGSTOP)
    with subprocess.Popen(command, **pipes) as terminal:
        try:
            assert terminal.stdin is not None
            assert terminal.stderr is not None
            terminal.stdin.write(b"ls\n")
            terminal.stdin.flush()
            lines = [terminal.stderr.readline() for _ in range(2)]
            assert b"n2 does not answer" in b"".join(lines)
            assert "another terminal has the console of n2" in refused("shell", "n2")
            terminal.stdin.write(b"\x03")
            terminal.stdin.flush()
            assert terminal.wait(20) == 0
        finally:
            terminal.kill()
            os.kill(machine, signal.SIGCONT)


def test_a_cluster_of_machines_takes_commands_and_its_guests_have_consoles(
    held: Command, tmp_path: Path
) -> None:
    run_id = held.run_id
    assert run_id is not None
    state: dict[str, Any] = orjson.loads(told("status", "--json").output)
    assert {name: node["view"] for name, node in state["nodes"].items()} == {
        "n1": ["n1", "n2"],
        "n2": ["n1", "n2"],
    }
    assert "\n42\n" in typed("n1", "echo $((40 + 2))\n")
    typed("n1", "exit\n")
    again = "another shell comes"
    wait_until(lambda: "\n42\n" in typed("n1", "echo $((40 + 2))\n"), 30, again)
    crunch = orjson.loads(
        told("crunch", "n1", "--kind", "timed", "--for", "300ms", "--json").output
    )
    assert crunch["pressure_episodes"] == 1
    assert "crunch.kind: expected timed" in refused("crunch", "n1", "--kind", "writeback")
    told("policy", "n1", "memalloc")
    told("link", "n2", "down")
    told("link", "n2", "up")
    stopped_guest_is_told_of_and_left(children(held.popen.pid)["n2 machine"])
    told("down")
    held.end(60)
    result = Result.read(tmp_path / "out" / "result.json")
    assert result.totals.writes_lost == 0
    assert result.totals.writes_acknowledged > 50
    wait_until(lambda: traces(run_id) == [], 10, "nothing is left")
