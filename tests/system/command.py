"""The real command line in a process of its own, and what it leaves on the machine."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import orjson

from crunchbed.host.run_ids import STATE_ROOT
from nodes.cgroup import cgroup2_root
from nodes.process import descendants, start_ticks, stat_of
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError
from topologies import ovs

_END_SECONDS = 5
"""In which what the kernel kills with a run is gone; a guest's memory takes a moment."""
CLI = (sys.executable, "-m", "crunchbed")
BPFFS = Path("/sys/fs/bpf")
# A deadline of 300 ms, the least that a busy machine with two processors keeps.
SHORT = (
    *("--set", "heartbeat.interval=50ms", "--set", "heartbeat.misses=6"),
    *("--set", "phases.control=400ms", "--set", "phases.inject=500ms"),
    *("--set", "fencing.reboot_delay=200ms"),
)
# Whoever starts the tests may ignore these, as shells do for background jobs.
_DEFAULT_SIGNALS = ("env", "--default-signal=INT,TERM,HUP")


class Command:
    """A running ``crunchbed``.

    Attributes:
        popen: The process; its pid is the runner's.
        errors: Lines of stderr so far.
    """

    def __init__(self, *arguments: str | Path, before: Sequence[str] = ()) -> None:
        argv = [*_DEFAULT_SIGNALS, *before, *CLI, *map(str, arguments)]
        self.popen = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.errors: list[str] = []
        self.output = ""
        self._readers = [
            threading.Thread(target=self._read_errors),
            threading.Thread(target=self._read_output),
        ]
        for reader in self._readers:
            reader.start()

    def _read_errors(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.errors.append(line.rstrip("\n"))

    def _read_output(self) -> None:
        assert self.popen.stdout is not None
        self.output = self.popen.stdout.read()

    @property
    def run_id(self) -> str | None:
        """Id of the run that this process executes now."""
        for state in STATE_ROOT.glob("*/run.json"):
            try:
                if orjson.loads(state.read_bytes())["pid"] == self.popen.pid:
                    return state.parent.name
            except (FileNotFoundError, orjson.JSONDecodeError):
                continue
        return None

    def wait_for(self, words: str, timeout: float = 30) -> None:
        """Return when a line of its progress ends with these words, or has them before a note."""

        def said() -> bool:
            if self.popen.poll() is not None:
                raise AssertionError(f"ended before {words!r}: {self.errors}")
            return any(f" s  {words}" in line for line in self.errors)

        wait_until(said, timeout, f"the run says {words!r}", interval=0.005)

    def end(self, timeout: float = 60) -> int:
        """Wait for its end; the exit code."""
        code = self.popen.wait(timeout)
        for reader in self._readers:
            reader.join()
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self.popen.stdout.close()
        self.popen.stderr.close()
        return code

    def kill(self) -> None:
        """SIGKILL, harmless on one that has ended."""
        self.popen.send_signal(signal.SIGKILL)
        self.end()

    @property
    def complaints(self) -> list[str]:
        """Lines of stderr that are no progress."""
        return [line for line in self.errors if line and " s  " not in line]


def killed_ends_all_that_it_has_started(command: Command) -> set[str]:
    """SIGKILL a run, and hold all its processes to their own end; returns the programs' names."""
    run_id = command.run_id
    family = {pid: stat for pid in descendants(command.popen.pid) if (stat := stat_of(pid))}
    command.kill()

    def living() -> list[str]:
        """Those that were seen, and those that had just been started."""
        found = [
            f"process {pid} {stat.program}"
            for pid, stat in family.items()
            if start_ticks(pid) == stat.start_ticks
        ]
        left = traces(run_id) if run_id is not None else []
        return found + [one for one in left if one.startswith("process ")]

    with contextlib.suppress(CrunchbedError):
        wait_until(lambda: not living(), _END_SECONDS, "the end of all processes of the run")
    assert not living(), living()
    return {stat.program for stat in family.values()}


def killed_leaves_nothing_that_clean_does_not_remove(command: Command, moment: float) -> None:
    """SIGKILL a run some seconds from now, and look what `crunchbed clean` makes of the rest."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.popen.wait(moment)
    run_id = command.run_id
    killed_ends_all_that_it_has_started(command)
    cleaned = run("clean")
    assert cleaned.popen.returncode == 0, (moment, cleaned.errors, cleaned.output)
    assert cleaned.errors == []
    if run_id is not None:
        assert f"{run_id}: removed state" in cleaned.output
        assert traces(run_id) == [], moment
    else:
        assert left_by_check(command.popen.pid) == [], moment
    assert run_id is None or run_id not in run("clean").output


def run(*arguments: str | Path, before: Sequence[str] = ()) -> Command:
    """Run the command line to its end."""
    command = Command(*arguments, before=before)
    command.end()
    return command


def traces(run_id: str) -> list[str]:
    """What is left of a run, looked for by other means than those of ``crunchbed.host.leaks``."""
    found = [f"link {name}" for _, name in socket.if_nameindex() if name.startswith(run_id)]
    if ovs.is_installed() and ovs.is_running():
        bridges = ovs.vsctl("list-br").split()
        found += [f"bridge {name}" for name in bridges if name.startswith(run_id)]
    for path in (
        STATE_ROOT / run_id,
        cgroup2_root() / f"crunchbed-{run_id}",
        BPFFS / f"crunchbed-{run_id}",
    ):
        found += [str(path)] if path.exists() else []
    marks = (f"mininet:{run_id}", f"crunchbed-{run_id}/", f"{STATE_ROOT}/{run_id}/")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = (process / "cmdline", process / "cgroup")
            told = "".join(file.read_text(errors="replace") for file in files)
        except (FileNotFoundError, ProcessLookupError):
            continue
        # One that waits for init to take note of its end is no more.
        if any(mark in told for mark in marks) and start_ticks(int(process.name)) is not None:
            found.append(f"process {process.name} {told[:100]!r}")
    return found


def left_by_check(pid: int) -> list[str]:
    """What a process that looked for requirements may have left."""
    cgroup = cgroup2_root() / f"crunchbed-check-{pid}"
    return [str(cgroup)] if cgroup.exists() else []


def children(pid: int) -> dict[str, int]:
    """Pids of a runner's daemons by the name that the run gave them, from its record."""
    for state in STATE_ROOT.glob("*/run.json"):
        record = orjson.loads(state.read_bytes())
        if record["pid"] == pid:
            return {each["name"]: each["pid"] for each in record["processes"]}
    return {}
