"""A cluster that is held open, and commands from beside it, by the real command line."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from crunchbed.history.history import History
from crunchbed.host import leaks
from nodes.cgroup import cgroup2_root
from nodes.ports import is_operational
from nodes.process import descendants
from nodes.waiting import wait_until
from reserve_agent.contract.events.heartbeats import RingDown
from tests.system.command import Command, run, traces

pytestmark = pytest.mark.root
# A busy machine keeps a deadline of 2 s; what is tested here is not the detector.
QUIET = ("--set", "cluster.switch=linux-bridge", "--set", "heartbeat.misses=20")


class Held:
    """A cluster held open, and commands that are given to it."""

    def __init__(self, out: Path, *arguments: str) -> None:
        self.out = out
        self.command = Command("up", "control", *QUIET, *arguments, "--out", out)
        self.command.wait_for("run ", 60)
        run_id = self.command.run_id
        assert run_id is not None
        self.run_id = run_id

    def tell(self, name: str, *arguments: str) -> Command:
        return run(name, "--run", self.run_id, *arguments)

    def ok(self, name: str, *arguments: str) -> str:
        told = self.tell(name, *arguments)
        assert told.popen.returncode == 0, (name, arguments, told.errors)
        return told.output

    def refused(self, name: str, *arguments: str) -> str:
        told = self.tell(name, *arguments)
        assert told.popen.returncode == 2, (name, arguments, told.errors)
        (line,) = told.errors
        return line

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = orjson.loads(self.ok("status", "--json"))
        return state


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    cluster = Held(tmp_path_factory.mktemp("held") / "out", "--policy", "memalloc")
    try:
        yield cluster
    finally:
        cluster.command.kill()
        leaks.clean_run(cluster.run_id)


def test_its_state_is_told_before_anything_is_done(held: Held) -> None:
    state = held.state()
    assert (state["run"], state["scenario"], state["phase"]) == (held.run_id, "control", "control")
    assert sorted(state["nodes"]) == ["n1", "n2", "n3"]
    for node in state["nodes"].values():
        assert (node["up"], node["link"], node["crunch"]) == (True, "up", None)
        assert node["policy"] == "memalloc"
        assert node["view"] == ["n1", "n2", "n3"]
    table = held.ok("status")
    assert f"run {held.run_id}: control, held open" in table
    assert len(table.splitlines()) == 5


def test_a_timed_crunch_takes_what_was_asked_for(held: Held) -> None:
    said = held.ok("crunch", "n1", "--kind", "timed", "--for", "200ms")
    assert "0.200000 s of pressure" in said
    assert held.state()["phase"] == "inject"
    many = held.ok("crunch", "n2", "--for", "50us", "--count", "20", "--every", "10ms")
    assert "0.001000 s of pressure in 20 episodes" in many
    told = orjson.loads(held.ok("crunch", "n1", "--for", "10ms", "--json"))
    assert (told["run"], told["node"], told["over"]) == (held.run_id, "n1", True)
    assert (told["pressure_episodes"], told["pressure_seconds"]) == (1, 0.01)
    assert told["crunch_requested"]["pressure_seconds"] == 0.01


def test_writeback_and_flood_bring_pressure_of_their_own(held: Held) -> None:
    assert "s of pressure" in held.ok("crunch", "n2", "--kind", "writeback", "--pages", "12000")
    said = held.ok("crunch", "n3", "--kind", "flood", "--for", "4s", "--rate", "12000")
    assert "s of pressure" in said
    assert held.state()["nodes"]["n3"]["crunch"] is None


def test_one_crunch_at_a_time_on_a_node(held: Held) -> None:
    held.ok("crunch", "n1", "--for", "12s", "--depth", "0", "--no-wait")
    assert "n1 is still in a timed crunch" in held.refused("crunch", "n1", "--for", "1ms")
    assert held.state()["nodes"]["n1"]["crunch"] == "timed"
    wait_until(lambda: held.state()["nodes"]["n1"]["crunch"] is None, 60, "its end")


def test_a_policy_is_switched(held: Held) -> None:
    done = orjson.loads(held.ok("policy", "n3", "none", "--json"))
    assert done == {"run": held.run_id, "nodes": ["n3"], "policy": "none"}
    assert [held.state()["nodes"][name]["policy"] for name in ("n1", "n3")] == ["memalloc", "none"]
    held.ok("policy", "all", "memalloc")
    assert held.state()["nodes"]["n3"]["policy"] == "memalloc"


def test_a_link_goes_down_and_comes_back(held: Held) -> None:
    """The storage host's: a node would be fenced while a busy machine starts the next command."""
    port = f"{held.run_id}s1-eth4"
    assert is_operational(port)
    told = orjson.loads(held.ok("link", "storage", "down", "--json"))
    assert (told["node"], told["network"], told["state"]) == ("storage", None, "down")
    assert told["link"] == "down"
    assert not is_operational(port)
    assert held.state()["storage_link"] == "down"
    assert "down already" in held.refused("link", "storage", "down")
    held.ok("link", "storage", "up")
    assert is_operational(port)
    assert "is not down" in held.refused("link", "storage", "up")


def test_a_node_without_a_link_is_ejected_truly(held: Held) -> None:
    held.ok("link", "n1", "down")
    assert held.state()["nodes"]["n1"]["link"] == "down"
    wait_until(lambda: held.state()["nodes"]["n1"]["boots"] == 1, 30, "its fence")
    held.ok("link", "n1", "up")

    def whole() -> bool:
        nodes = held.state()["nodes"].values()
        return all(node["view"] == ["n1", "n2", "n3"] for node in nodes)

    wait_until(whole, 30, "it is a member again")


def test_a_shell_is_in_the_nodes_namespace_and_cgroup(held: Held) -> None:
    assert "10.77.0.2" in held.ok("shell", "n2", "--", "ip", "-4", "addr")
    assert f"/crunchbed-{held.run_id}/n2" in held.ok("shell", "n2", "cat", "/proc/self/cgroup")
    assert held.ok("shell", "n2", "printenv", "CRUNCHBED_NODE") == "n2\n"
    assert "10.77.0.254" in held.ok("shell", "storage", "--", "ip", "-4", "addr")
    assert held.tell("shell", "n1", "--", "sh", "-c", "exit 7").popen.returncode == 7
    assert "no program 'nonesuch'" in held.refused("shell", "n1", "nonesuch")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("crunch", "n9", "--for", "1ms"), "no node 'n9'; known: n1, n2, n3"),
        (("crunch", "storage", "--for", "1ms"), "no node 'storage'"),
        (("crunch", "n1", "--for", "20x"), "--for: expected a duration"),
        (("crunch", "n1"), "--for: expected a duration"),
        (("crunch", "n1", "--for", "61min"), "--for: expected at most 3600s, got '61min'"),
        (("crunch", "n1", "--for", "1ms", "--depth", "3"), "--depth: expected a number"),
        (("crunch", "n1", "--kind", "writback"), "did you mean writeback?"),
        (("crunch", "n1", "--kind", "writeback", "--for", "1s"), "--for: expected another --kind"),
        (("link", "n9", "down"), "no node 'n9'; known: n1, n2, n3, storage"),
        (("link", "n1", "off"), "expected down or up, got 'off'"),
        (("policy", "n9", "none"), "no node 'n9'"),
        (("shell", "n9"), "no node 'n9'"),
    ],
)
def test_wrong_words_are_told_in_one_line(
    held: Held, arguments: tuple[str, ...], words: str
) -> None:
    assert words in held.refused(*arguments)


def test_down_ends_it_with_a_summary_and_leaves_nothing(held: Held) -> None:
    said = orjson.loads(held.ok("down", "--json"))
    assert (said["run"], said["directory"]) == (held.run_id, str(held.out))
    assert said["verdict"] is not None
    held.command.end(20)
    output = held.command.output
    assert "verdict: " in output
    for deed in (
        "n1: timed crunch, 0.200000 s",
        "n1: link-down for",
        "n1: ejected\n",
        "n3: policy none",
    ):
        assert deed in output, output
    assert traces(held.run_id) == []
    history = History.read(held.out / "history.jsonl")
    assert history.missing_phases() == []
    result = orjson.loads((held.out / "result.json").read_bytes())
    assert result["totals"]["writes_lost"] == 0
    assert result["totals"]["pressure_episodes"] >= 22


def is_on(cluster: Held, node: str, shell: Command) -> bool:
    """Whether the program of a shell is in the node's cgroup."""
    group = cgroup2_root() / f"crunchbed-{cluster.run_id}" / node / "cgroup.procs"
    return {*descendants(shell.popen.pid)} & {*map(int, group.read_text().split())} != set()


def test_ctrl_c_ends_it_with_a_summary_and_a_shell_on_it(tmp_path: Path) -> None:
    cluster = Held(tmp_path / "out")
    shell = Command("shell", "--run", cluster.run_id, "n1", "--", "sleep", "60")
    try:
        wait_until(lambda: is_on(cluster, "n1", shell), 20, "the shell")
        os.killpg(cluster.command.popen.pid, signal.SIGINT)
        cluster.command.end(30)
        assert "verdict: " in cluster.command.output, "\n".join(cluster.command.errors)
        assert cluster.command.popen.returncode in (0, 3)  # 3: the machine was too busy
        assert shell.end(5) == 137
        (line,) = shell.errors
        assert f"n1 of run {cluster.run_id} has lost its power" in line
        assert traces(cluster.run_id) == []
    finally:
        shell.kill()
        cluster.command.kill()
        leaks.clean_run(cluster.run_id)


def test_of_two_links_one_goes_down_and_nobody_minds(tmp_path: Path) -> None:
    cluster = Held(tmp_path / "out", "--set", "cluster.topology=redundant")
    try:
        said = cluster.ok("link", "n1", "down", "--network", "a")
        assert "the link of n1 to a of run" in said
        until = time.monotonic() + 2.0  # longer than a deadline, after which a ring is down
        states = [cluster.state()]
        while time.monotonic() < until:
            states.append(cluster.state())
        assert states[-1]["nodes"]["n1"]["link"] == "down to a"
        assert [node["boots"] for node in states[-1]["nodes"].values()] == [0, 0, 0]
        assert "no link to 'storage'" in cluster.refused(
            "link", "n1", "down", "--network", "storage"
        )
        cluster.ok("link", "n1", "up", "--network", "a")
        cluster.ok("down")
        cluster.command.end(30)
        history = History.read(cluster.out / "history.jsonl")
        lost = {(e.node, e.peer) for e in history.of(RingDown) if e.ring == 0}
        assert {("n1", "n2"), ("n2", "n1"), ("n3", "n1")} <= lost
        assert ("n2", "n3") not in lost, "their ring is whole"
    finally:
        cluster.command.kill()
        leaks.clean_run(cluster.run_id)


def test_killed_it_leaves_nothing_that_cleaning_does_not_remove(tmp_path: Path) -> None:
    cluster = Held(tmp_path / "out")
    shell = Command("shell", "--run", cluster.run_id, "n1", "--", "sleep", "60")
    try:
        cluster.tell("link", "n1", "down")
        cluster.command.kill()
        assert traces(cluster.run_id) != []
        outcome = leaks.clean_run(cluster.run_id)
        assert set(outcome.values()) == {None}
        assert traces(cluster.run_id) == []
    finally:
        shell.kill()
        leaks.clean_run(cluster.run_id)
