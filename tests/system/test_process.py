"""Processes inside a node: cgroup, namespace, priority; ended with their cgroup."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes import enter
from nodes.cgroup import NodeCgroup, pids_in
from nodes.process import Process, spawn, start_ticks
from nodes.waiting import wait_until

pytestmark = pytest.mark.root

RUN_ID = f"t{os.getpid() % 1000:03d}"


@pytest.fixture
def cgroup() -> Iterator[NodeCgroup]:
    group = NodeCgroup(RUN_ID, "n1")
    group.create()
    yield group
    group.remove()
    assert not group.path.parent.exists()


@pytest.fixture
def namespace() -> Iterator[int]:
    """A process in a network namespace of its own."""
    with subprocess.Popen(["/usr/bin/unshare", "--net", "sleep", "60"]) as holder:
        own = Path("/proc/self/ns/net").readlink()
        there = Path(f"/proc/{holder.pid}/ns/net")
        wait_until(lambda: there.readlink() != own, 10, "the namespace")
        yield holder.pid
        holder.kill()


def output_of(process: Process) -> str:
    wait_until(lambda: process.poll() is not None, 10, f"the end of {process.name}")
    return process.log.read_text()


def test_enters_the_network_namespace_and_no_other(
    tmp_path: Path, cgroup: NodeCgroup, namespace: int
) -> None:
    script = "readlink /proc/self/ns/net /proc/self/ns/mnt; cat /proc/self/cgroup"
    process = spawn(
        ["sh", "-c", script],
        name="it",
        log=tmp_path / "log",
        netns_pid=namespace,
        cgroup=cgroup.path,
    )
    net, mnt, *groups = output_of(process).splitlines()
    assert net == str(Path(f"/proc/{namespace}/ns/net").readlink())
    assert mnt == str(Path("/proc/self/ns/mnt").readlink())
    assert f"0::/crunchbed-{RUN_ID}/n1" in groups


def test_realtime(tmp_path: Path) -> None:
    code = "import os; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
    process = spawn(
        [sys.executable, "-c", code],
        name="it",
        log=tmp_path / "log",
        netns_pid=None,
        cgroup=None,
        realtime=True,
    )
    assert output_of(process) == f"{os.SCHED_RR} 1\n"


@pytest.mark.parametrize("what", ["cgroup", "network namespace"])
def test_a_step_that_fails_is_one_line_and_exit_125(tmp_path: Path, what: str) -> None:
    process = spawn(
        ["true"],
        name="it",
        log=tmp_path / "log",
        netns_pid=2**22 + 1 if what == "network namespace" else None,
        cgroup=Path("/no/such/cgroup") if what == "cgroup" else None,
    )
    output = output_of(process)
    assert process.poll() == enter.FAILED
    assert output.count("\n") == 1
    assert what in output


def test_starting_costs_little(tmp_path: Path, cgroup: NodeCgroup, namespace: int) -> None:
    import time

    before = time.monotonic()
    for _ in range(10):
        process = spawn(
            ["true"], name="it", log=tmp_path / "log", netns_pid=namespace, cgroup=cgroup.path
        )
        wait_until(lambda: process.poll() is not None, 10, "its end", interval=0.001)  # noqa: B023
    assert (time.monotonic() - before) / 10 < 0.1


def test_the_cgroup_takes_along_what_forked(tmp_path: Path, cgroup: NodeCgroup) -> None:
    script = "sleep 60 & sleep 60 & wait"
    process = spawn(
        ["sh", "-c", script], name="it", log=tmp_path / "log", netns_pid=None, cgroup=cgroup.path
    )
    wait_until(lambda: len(cgroup.pids()) == 3, 10, "three processes")
    pids = pids_in(cgroup.path)
    cgroup.remove()
    assert [pid for pid in pids if start_ticks(pid) is not None] == []
    assert process.kill() == -signal.SIGKILL


GUARDED = """
import subprocess, sys, time
from pathlib import Path
from nodes.cgroup import killed_with_this_process
with killed_with_this_process(Path(sys.argv[1])):
    # A session of its own, no parent, and no end by a signal that can be caught.
    script = "trap '' TERM HUP; echo $$ >$0; (sleep 60 & sleep 60) & wait"
    subprocess.run(["setsid", "--fork", "sh", "-c", script, sys.argv[2]], check=True)
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_is_in_a_guarded_cgroup_ends_with_its_guard_however_that_ends(
    cgroup: NodeCgroup,
) -> None:
    parent, procs = str(cgroup.path.parent), str(cgroup.path / "cgroup.procs")
    command = [sys.executable, "-c", GUARDED, parent, procs]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as guard:
        try:
            assert guard.stdout is not None
            assert guard.stdout.readline() == b"ready\n"
            wait_until(lambda: len(cgroup.pids()) >= 3, 10, "a shell and its children")
        finally:
            guard.kill()
    wait_until(lambda: not cgroup.pids(), 10, "an empty cgroup")


def test_a_real_time_daemon_that_spins_is_killed(tmp_path: Path) -> None:
    """Else it would hold a processor for ever, and two of them a whole machine."""
    spinner = spawn(
        [sys.executable, "-c", "while True: pass"],
        name="spinner",
        log=tmp_path / "log",
        netns_pid=None,
        cgroup=None,
        realtime=True,
    )
    try:
        wait_until(lambda: spinner.poll() is not None, 20, "its end")
    finally:
        spinner.kill()
    assert spinner.poll() == -signal.SIGKILL
