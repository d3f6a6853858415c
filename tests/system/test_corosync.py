"""A real corosync on each of three nodes: they form, lose one, take it back, and leave nothing."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from crunchbed.host import leaks
from nodes.cgroup import cgroup2_root
from nodes.process import Process, spawn, start_ticks
from nodes.waiting import wait_until
from tests.system.command import Command, run, traces
from tests.system.heartbeat_cluster import NAMES, Cluster, address

pytestmark = pytest.mark.root

TOTEM = {
    "token": 400,
    "token_coefficient": 0,
    "token_retransmits_before_loss_const": 4,
    "join": 50,
}
RUN = (
    *("--set", "membership=corosync", "--set", "cluster.switch=linux-bridge"),
    *("--set", "phases.control=1500ms", "--set", "fencing.reboot_delay=200ms"),
    *("--set", "crunch.jitter=0s", "--set", "crunch.every=4s", "--set", "phases.inject=4s"),
)
TOGETHER = ["n1", "n2", "n3"]


class CorosyncCluster(Cluster):
    """The same network and fence with the other membership."""

    def start(self, name: str, **settings: object) -> Process:
        config = {
            "node": name,
            "cluster": "test",
            "addresses": {each: [address(each)] for each in NAMES},
            "port": 7405,
            "totem": TOTEM,
            "events": str(self._directory / f"{name}.agent"),
            "fence": str(self._directory / "fence"),
            "keep": [str(self._directory)],
            **settings,
        }
        path = self._directory / f"{name}.json"
        path.write_bytes(orjson.dumps(config))
        self.daemons[name] = spawn(
            [sys.executable, "-m", "nodes", "corosync", str(path)],
            name=f"{name} heartbeat",
            log=self._directory / f"{name}.log",
            netns_pid=self.namespaces[name].keeper.pid,
            cgroup=None,
            realtime=True,
        )
        return self.daemons[name]

    def set_port(self, name: str, state: str) -> None:
        self._bridge.ip("link", "set", f"port{NAMES.index(name) + 1}", state)

    def see(self, members: list[str], *nodes: str) -> bool:
        return [view[1] for view in self.views(*nodes)] == [members] * len(nodes)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[CorosyncCluster]:
    shared = shared_memory()
    mounts = Path("/proc/self/mounts").read_text()
    cluster = CorosyncCluster(tmp_path)
    yield cluster
    started = [corosync_of(daemon) for daemon in cluster.daemons.values()]
    cluster.close()
    wait_until(lambda: not any(map(is_alive, started)), 2, "all have ended with their watchers")
    assert shared_memory() <= shared
    assert Path("/proc/self/mounts").read_text() == mounts
    assert not Path("/run/corosync.pid").exists()


@pytest.fixture
def running(cluster: CorosyncCluster) -> CorosyncCluster:
    for name in NAMES:
        cluster.start(name)
    cluster.wait(lambda: cluster.see(TOGETHER, *NAMES), 15, "all are in one ring")
    return cluster


def shared_memory() -> set[str]:
    """Shared memory of libqb, which corosync and its clients talk by."""
    return {path.name for path in Path("/dev/shm").glob("qb-*")}  # noqa: S108


def corosync_of(daemon: Process) -> int | None:
    """The child of a watcher; None where it has none (any more)."""
    try:
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None


def is_alive(pid: int | None) -> bool:
    return pid is not None and start_ticks(pid) is not None


def test_views_go_to_listeners_and_packets_are_counted(
    cluster: CorosyncCluster, tmp_path: Path
) -> None:
    path = tmp_path / "listener"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        for name in NAMES:
            cluster.start(name, listeners=[str(path)] if name == "n1" else [])
        cluster.wait(lambda: cluster.see(TOGETHER, *NAMES), 15, "all are in one ring")
        cluster.wait(lambda: counts(cluster, "n1", "n2"), 3, "n1 counts what it gets from n2")
        with listener.accept()[0] as told:
            views = [orjson.loads(line) for line in told.recv(1 << 16).splitlines()]
    assert views == [
        {key: value for key, value in view.items() if key not in ("node", "id")}
        for view in cluster.of_kind("membership.view", "n1")
    ]
    assert sum(event["peers"] for event in cluster.of_kind("heartbeat.sent", "n1")) > 10


def counts(cluster: CorosyncCluster, node: str, peer: str) -> bool:
    return any(e["counts"].get(peer, 0) for e in cluster.of_kind("heartbeat.received", node))


def test_a_node_that_is_cut_off_is_fenced_and_joins_again(running: CorosyncCluster) -> None:
    last = {e["node"]: e for e in running.of_kind("membership.view")}
    assert all(e["quorate"] and e["members"] == TOGETHER for e in last.values())
    (number,) = {e["number"] for e in last.values()}
    assert running.fenced == []
    lost = corosync_of(running.daemons["n3"])
    assert is_alive(lost)

    running.set_port("n3", "down")
    running.wait(lambda: running.see(["n1", "n2"], "n1", "n2"), 5, "n3 is out")
    running.wait(lambda: running.fenced, 2, "n3 is fenced")
    assert running.fenced == [("n3", "n1")]
    wait_until(lambda: not is_alive(lost), 1, "corosync dies with its watcher")
    views = [e for e in running.of_kind("membership.view") if e["removed"]]
    assert {e["node"] for e in views} == {"n1", "n2"}
    assert all((e["removed"], e["quorate"]) == (["n3"], True) for e in views)
    assert all(e["number"] > number for e in views)
    assert {e["peer"] for e in running.of_kind("membership.suspect", "n1")} == {"n3"}
    misses = running.of_kind("heartbeat.miss", "n1")
    assert {miss.get("peer") for miss in misses} <= {None, "n3"}
    assert misses
    assert all(miss.get("tag") is None for miss in misses)
    assert not any(e["quorate"] for e in running.of_kind("membership.view", "n3")[-1:]) or (
        running.views("n3")[0][1] == TOGETHER  # it was fenced before it had noticed
    )

    running.fence.released("n3")
    running.set_port("n3", "up")
    running.start("n3")
    running.wait(lambda: running.see(TOGETHER, *NAMES), 10, "n3 is in again")
    assert running.of_kind("membership.view", "n1")[-1]["added"] == ["n3"]
    assert running.fenced == [("n3", "n1")]
    for daemon in running.daemons.values():
        assert daemon.terminate(2) == 0


def test_corosync_ends_with_its_watcher_and_the_watcher_with_corosync(
    running: CorosyncCluster,
) -> None:
    first, second = (corosync_of(running.daemons[name]) for name in ("n1", "n2"))
    assert first is not None
    assert second is not None
    os.kill(first, signal.SIGSTOP)  # so that it does not notice by itself
    running.daemons["n1"].kill()
    wait_until(lambda: not is_alive(first), 1, "the kernel has killed it")
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: running.daemons["n2"].poll() is not None, 2, "the watcher gives up")
    assert running.daemons["n2"].poll() == 3
    assert "corosync ended by itself (-9)" in running.daemons["n2"].last_words()


def test_corosync_runs_at_the_lowest_real_time_priority(running: CorosyncCluster) -> None:
    """At the highest, which it sets by itself, one that polls without a pause stops the machine."""
    for daemon in running.daemons.values():
        pid = corosync_of(daemon)
        assert pid is not None
        threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
        assert {os.sched_getscheduler(each) for each in threads} == {os.SCHED_RR}
        assert {os.sched_getparam(each).sched_priority for each in threads} == {1}


def test_what_corosync_refuses_is_told_in_its_own_words(cluster: CorosyncCluster) -> None:
    daemon = cluster.start("n1", totem=TOTEM | {"token": 29})
    cluster.wait(lambda: daemon.poll() is not None, 5, "the daemon gives up")
    assert "may not be less than (30 ms)" in daemon.log.read_text()
    assert "corosync ended by itself (8)" in daemon.last_words()


def test_a_run_with_a_crunch_ejects_a_node_and_takes_it_back(tmp_path: Path) -> None:
    longer = ("--set", "crunch.depth=1", "--set", "crunch.length=3500ms")
    arguments = ("long-crunch", "--policy", "none", *RUN, *longer)
    done = run("run", *arguments, "--out", tmp_path / "out")
    result = orjson.loads((tmp_path / "out" / "result.json").read_bytes())
    assert result["totals"]["false_ejections"] == 1, (done.errors, done.output)
    assert result["nodes"]["n1"]["nodes_ejected"] == 1
    assert result["totals"]["writes_lost"] == 0
    history = (tmp_path / "out" / "history.jsonl").read_text().splitlines()
    recovery = [e for line in history if (e := orjson.loads(line))["kind"] == "recovery"]
    assert [each["healthy"] for each in recovery] == [True]


def test_two_nodes_that_hear_nothing_of_each_other_do_not_stop_the_machine(tmp_path: Path) -> None:
    """Their rings with the third node fall apart before they are synchronized, for 3 s.

    A question to a corosync that synchronizes has it poll without a pause, and there are as many
    of them as processors here.
    """
    cut = "kind: loss, share: 1, after: 300ms, for: 3s"
    faults = f"faults=[{{{cut}, target: n1, from: n2}}, {{{cut}, target: n2, from: n1}}]"
    arguments = ("control", *RUN[:6], "--set", faults, "--set", "phases.inject=4s")
    done = run("run", *arguments, "--out", tmp_path / "out")
    result = orjson.loads((tmp_path / "out" / "result.json").read_bytes())
    assert result["totals"]["misses_by_cause"]["loss"] > 0, (done.errors, done.output)
    assert result["totals"]["testbed_late_seconds"] < 0.2


def test_a_run_that_is_killed_leaves_no_corosync_behind(tmp_path: Path) -> None:
    shared = shared_memory()
    command = Command("run", "control", *RUN[:6], "--out", tmp_path / "out")
    command.wait_for("control")
    run_id = command.run_id
    assert run_id is not None
    group = cgroup2_root() / f"crunchbed-{run_id}"
    pids = [int(pid) for each in group.glob("n*/cgroup.procs") for pid in each.read_text().split()]
    programs = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]
    assert programs.count("corosync") == 3
    try:
        command.kill()
        wait_until(lambda: not any(map(is_alive, pids)), 3, "all of its nodes' processes end")
        assert shared_memory() <= shared
        assert not Path("/run/corosync.pid").exists()
    finally:
        leaks.clean_run(run_id)
    assert traces(run_id) == []
