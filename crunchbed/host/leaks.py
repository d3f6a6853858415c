"""Finds what a run has left on the machine, and removes it.

Run ids are read only from what nothing but a run makes: directories under /run/crunchbed,
cgroups and BPF pin directories called ``crunchbed-<id>``, and Open vSwitch bridges whose
external_ids name a run. Links and processes are found by such an id; no id is read from them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from crunchbed.backends.common.targets import DIRECTORY, files_of
from crunchbed.host.run_ids import RUN_ID, STATE_ROOT, RecordedProcess, RunRecord, owner_is_alive
from nodes.cgroup import PREFIX, cgroup2_root, pids_in, remove_cgroup
from nodes.process import PROC, kill_if, start_ticks
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError, MissingRequirement
from topologies import ovs

Kind = Literal["process", "pin", "bridge", "link", "cgroup", "target", "state", "scratch"]

# The part after the id of every name that a cluster gives to a host, a switch or a link.
_NAME_END = r"(?:n\d{1,3}|st|s\d{1,2})"
_KILL_SECONDS = 5.0
_CLEAN_SECONDS = 10.0


def _link_names() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


@dataclass(frozen=True)
class Machine:
    """Where traces are looked for: this machine, or directories of a test."""

    state: Path = STATE_ROOT
    pins: Path = Path("/sys/fs/bpf")
    proc: Path = PROC
    bridges: Callable[[], dict[str, str]] = ovs.bridges_of_runs
    links: Callable[[], list[str]] = _link_names
    find_cgroups: Callable[[], Path] = cgroup2_root

    @property
    def cgroups(self) -> Path | None:
        """The cgroup v2 hierarchy; None where the machine has none."""
        try:
            return self.find_cgroups()
        except MissingRequirement:
            return None


THIS_MACHINE = Machine()


@dataclass(frozen=True)
class Leak:
    """One trace of a run."""

    kind: Kind
    name: str  # pid and program of a process, name of a bridge or link, else a path
    process: RecordedProcess | None = field(default=None, repr=False)  # for a process, which one


def find(run_id: str, machine: Machine = THIS_MACHINE) -> list[Leak]:
    """Return all traces of a run, live or dead, in the order in which they are to be removed."""
    cgroups = machine.cgroups
    group = cgroups / f"{PREFIX}{run_id}" if cgroups is not None else None
    pins = machine.pins / f"{PREFIX}{run_id}"
    bridges = sorted(name for name, owner in machine.bridges().items() if owner == run_id)
    link = re.compile(rf"{run_id}{_NAME_END}(?:-eth\d{{1,3}})?")
    links = sorted(name for name in machine.links() if link.fullmatch(name))
    leaks = [
        Leak("process", f"{process.pid} ({process.name})", process)
        for process in _processes(run_id, machine, group)
    ]
    if pins.is_dir():
        leaks.append(Leak("pin", str(pins)))
    leaks += [Leak("bridge", name) for name in bridges]
    # A bridge of the userspace datapath has a link of its own name, which goes with it.
    leaks += [Leak("link", name) for name in links if name not in bridges]
    if group is not None and group.is_dir():
        leaks.append(Leak("cgroup", str(group)))
    targets = files_of(run_id, machine.state / DIRECTORY.name)
    leaks += [Leak("target", str(path)) for path in targets]
    if (machine.state / run_id).is_dir():
        leaks.append(Leak("state", str(machine.state / run_id)))
    return leaks


def _processes(run_id: str, machine: Machine, group: Path | None) -> list[RecordedProcess]:
    """Return the processes in a run's cgroups, its hosts' shells, and those that it recorded."""
    found: dict[int, RecordedProcess] = {}
    pids = [*_pids_below(group)] if group is not None else []
    for pid in [*pids, *_shells(run_id, machine.proc)]:
        ticks = start_ticks(pid, machine.proc)
        if ticks is not None:
            found[pid] = RecordedProcess(_program(pid, machine.proc), pid, ticks)
    record = RunRecord.read(machine.state / run_id)
    for process in record.processes if record is not None else ():
        if process.is_alive(machine.proc):
            found.setdefault(process.pid, process)
    found.pop(os.getpid(), None)
    return [found[pid] for pid in sorted(found)]


def _pids_below(group: Path) -> Iterator[int]:
    yield from pids_in(group)
    with contextlib.suppress(OSError):
        for child in group.iterdir():
            if child.is_dir():
                yield from _pids_below(child)


def _shells(run_id: str, proc: Path) -> Iterator[int]:
    """Find the shells of a run's hosts: Mininet names the host in a shell's last argument."""
    wanted = re.compile(rf"mininet:{run_id}{_NAME_END}")
    for directory in proc.iterdir():
        if not directory.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            argv = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            if argv and "bash" in argv and wanted.fullmatch(argv[-1]):
                yield int(directory.name)


def _program(pid: int, proc: Path) -> str:
    with contextlib.suppress(OSError):
        return (proc / str(pid) / "comm").read_text().strip()
    return "?"


def remove(leak: Leak) -> None:
    """Remove one trace, unless it is gone; CrunchbedError, with why, where that fails."""
    try:
        if leak.process is not None:
            _kill(leak.process)
        elif leak.kind == "bridge":
            ovs.delete_bridges([leak.name])
        elif leak.kind == "link":
            from nodes.ports import delete_links  # brings pyroute2, which finding does not need

            delete_links([leak.name])
        elif leak.kind == "cgroup":
            remove_cgroup(Path(leak.name))
        elif leak.kind == "target":
            Path(leak.name).unlink()
        else:
            shutil.rmtree(leak.name)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise CrunchbedError(f"cannot remove {leak.kind} {leak.name}: {error.strerror}") from error


def _kill(process: RecordedProcess) -> None:
    kill_if(process.pid, lambda _pid: process.is_alive())
    wait_until(lambda: not process.is_alive(), _KILL_SECONDS, f"the end of process {process.pid}")


def known_runs(machine: Machine = THIS_MACHINE) -> set[str]:
    """Return the ids of all runs, live or dead, with a trace that only a run makes."""
    names = set(_directories(machine.state)) | set(machine.bridges().values())
    for parent in (machine.cgroups, machine.pins):
        if parent is not None:
            marked = (name for name in _directories(parent) if name.startswith(PREFIX))
            names |= {name.removeprefix(PREFIX) for name in marked}
    return {name for name in names if RUN_ID.fullmatch(name)}


def _directories(parent: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def dead_runs(machine: Machine = THIS_MACHINE) -> list[str]:
    """Return the ids of the runs that have left traces and whose owner has ended."""
    runs = sorted(known_runs(machine))
    return [run for run in runs if not owner_is_alive(run, machine.state, machine.proc)]


def dead_probes(machine: Machine = THIS_MACHINE) -> list[Path]:
    """Return cgroups that probes of requirements left behind because they were killed."""
    if machine.cgroups is None:
        return []
    prefix = f"{PREFIX}check-"
    found = [path for path in machine.cgroups.glob(f"{prefix}*") if path.is_dir()]
    return [
        path
        for path in sorted(found)
        if (pid := path.name.removeprefix(prefix)).isdigit()
        and start_ticks(int(pid), machine.proc) is None
    ]


def clean_run(run_id: str, machine: Machine = THIS_MACHINE) -> dict[Leak, str | None]:
    """Remove all that a dead run has left; return every trace, with why it is still there, or None.

    Traces are looked for until none is found: removing one may uncover another, and a namespace
    takes its links along some time after its last process. The state directory goes last, so that a
    clean-up that is cut short can be done again. A live run is left alone.
    """
    outcome: dict[Leak, str | None] = {}
    deadline = time.monotonic() + _CLEAN_SECONDS
    while not owner_is_alive(run_id, machine.state, machine.proc):
        leaks = find(run_id, machine)
        if not leaks:
            break
        traces = [leak for leak in leaks if leak.kind != "state"] or leaks
        outcome |= (reasons := {leak: try_remove(leak) for leak in traces})
        stuck = None not in reasons.values()
        if stuck or time.monotonic() > deadline:
            break
    return outcome


def try_remove(leak: Leak) -> str | None:
    """Remove one trace; returns why it could not be removed, or None."""
    try:
        remove(leak)
    except CrunchbedError as error:
        return str(error)
    return None
