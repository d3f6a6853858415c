"""Runs that were killed leave nothing once cleaned; runs that live are not touched."""

import json
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from crunchbed.cli.clean import clean
from crunchbed.host import leaks
from crunchbed.host.run_ids import STATE_ROOT
from nodes.cgroup import cgroup2_root
from nodes.process import start_ticks
from nodes.waiting import wait_until
from tests.system.holder import BPFFS
from topologies import ovs
from topologies.switches import SwitchChoice

pytestmark = pytest.mark.root


class Holder:
    """A run in a process of its own."""

    def __init__(self, switch: SwitchChoice, scratch: Path) -> None:
        argv = [sys.executable, "-m", "tests.system.holder", switch, str(scratch)]
        self.popen = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.run_id = self.read_line()

    def read_line(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def wait_until_up(self) -> None:
        assert self.read_line() == "up"

    def end(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)
        self.popen.wait(20)
        assert self.popen.stdout is not None
        self.popen.stdout.close()


@pytest.fixture(params=["ovs-user", "linux-bridge"])
def switch(request: pytest.FixtureRequest) -> SwitchChoice:
    choice: SwitchChoice = request.param
    if choice == "ovs-user" and not (ovs.is_installed() and ovs.is_running()):
        pytest.skip("Open vSwitch is not running")
    return choice


@pytest.fixture
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holder]:
    """A run that lives throughout the test and is stopped in order."""
    holder = Holder("auto", tmp_path_factory.mktemp("live"))
    holder.wait_until_up()
    before = {leak.name for leak in leaks.find(holder.run_id)}
    try:
        yield holder
        assert {leak.name for leak in leaks.find(holder.run_id)} == before
        assert holder.popen.poll() is None
    finally:
        holder.end(signal.SIGKILL)
        leaks.clean_run(holder.run_id)


def traces(run_id: str) -> list[str]:
    """What is left of a run, looked for by other means than those of ``leaks``."""
    found = [name for _, name in socket.if_nameindex() if name.startswith(run_id)]
    if ovs.is_installed() and ovs.is_running():
        found += [name for name in ovs.vsctl("list-br").split() if name.startswith(run_id)]
    for parent, name in (
        (STATE_ROOT, run_id),
        (cgroup2_root(), f"crunchbed-{run_id}"),
        (BPFFS, f"crunchbed-{run_id}"),
    ):
        found += [str(parent / name)] if (parent / name).exists() else []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = (process / "cmdline", process / "cgroup")
            marks = "".join(file.read_text(errors="replace") for file in files)
        except (FileNotFoundError, ProcessLookupError):
            continue
        # One that waits for init to take note of its end is no more.
        if start_ticks(int(process.name)) is None:
            continue
        if f"mininet:{run_id}" in marks or f"crunchbed-{run_id}" in marks:
            found.append(f"process {process.name}")
    return found


def test_killed_at_random_moments(live: Holder, switch: SwitchChoice, tmp_path: Path) -> None:
    draw = random.Random()  # noqa: S311
    moments = [0.0, *(draw.uniform(0, 0.6) for _ in range(4))]
    for moment in moments:
        holder = Holder(switch, tmp_path)
        try:
            holder.popen.wait(moment)
        except subprocess.TimeoutExpired:
            holder.end(signal.SIGKILL)
        assert holder.run_id in leaks.dead_runs(), moment
        outcome = leaks.clean_run(holder.run_id)
        assert set(outcome.values()) == {None}, (moment, outcome)
        assert traces(holder.run_id) == [], moment
    assert live.run_id not in leaks.dead_runs()


def test_a_run_killed_at_work_is_all_found(switch: SwitchChoice, tmp_path: Path) -> None:
    holder = Holder(switch, tmp_path)
    holder.wait_until_up()
    assert leaks.clean_run(holder.run_id) == {}
    holder.end(signal.SIGKILL)
    outcome = leaks.clean_run(holder.run_id)
    kinds = {leak.kind for leak in outcome}
    assert kinds >= {"process", "cgroup", "state"}
    assert ("pin" in kinds) == BPFFS.is_mount()
    assert sum("sleep" in leak.name for leak in outcome) == 6
    assert traces(holder.run_id) == []


def test_the_command(live: Holder, tmp_path: Path) -> None:
    holder = Holder("auto", tmp_path)
    holder.wait_until_up()
    holder.end(signal.SIGKILL)
    runner = CliRunner()
    rehearsal = json.loads(runner.invoke(clean, ["--dry-run", "--json"]).output)
    runs = {run["id"]: run["traces"] for run in rehearsal["runs"]}
    assert live.run_id in rehearsal["live"]
    assert live.run_id not in runs
    assert not any(trace["removed"] for trace in runs[holder.run_id])
    assert traces(holder.run_id) != []
    done = runner.invoke(clean, [])
    assert done.exit_code == 0, done.output
    assert f"{holder.run_id}: removed cgroup" in done.output
    assert f"{live.run_id}: is live, not touched" in done.output
    assert traces(holder.run_id) == []
    again = runner.invoke(clean, [])
    assert again.exit_code == 0
    assert holder.run_id not in again.output


def test_what_others_have_made_stays(tmp_path: Path) -> None:
    """A link and a bridge with names that a dead run might have had."""
    holder = Holder("linux-bridge", tmp_path)
    holder.wait_until_up()
    names = [f"{holder.run_id}net", f"{holder.run_id}hub"]
    for name in names:
        subprocess.run(["/usr/sbin/ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        holder.end(signal.SIGKILL)
        leaks.clean_run(holder.run_id)
        assert traces(holder.run_id) == names
    finally:
        for name in names:
            subprocess.run(["/usr/sbin/ip", "link", "del", name], check=True)


def test_host_shells_die_with_their_runner(tmp_path: Path) -> None:
    """Not needed, since clean finds them, but good to know: their input is gone."""
    holder = Holder("auto", tmp_path)
    holder.wait_until_up()

    def shells() -> list[str]:
        return [leak.name for leak in leaks.find(holder.run_id) if "(sh)" in leak.name]

    assert len(shells()) == 3
    holder.end(signal.SIGKILL)
    wait_until(lambda: not shells(), 5, "the shells' end")
    leaks.clean_run(holder.run_id)
    assert traces(holder.run_id) == []
