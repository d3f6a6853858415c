"""A run of this backend, as all parts of its cluster know it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crunchbed.backends.common.targets import Targets
from crunchbed.scenario.schema import Scenario
from nodes.process import Process, spawn
from reserve_agent.config_files import write_config
from reserve_agent.errors import RunInvalid

PANIC: Final = "Kernel panic"
"""Begins the line on a guest's console that says why; lines without a reason come after it."""


def argv(module: str, *arguments: str | Path) -> list[str]:
    """Return the command that starts a daemon."""
    return [sys.executable, "-m", module, *map(str, arguments)]


@dataclass(frozen=True)
class LiveRun:
    """What is run, where the run keeps things, and who is told of its processes.

    Attributes:
        run_id: Short id in every name the run makes.
        state: ``/run/crunchbed/<id>``: sockets.
        pins: ``/sys/fs/bpf/crunchbed-<id>``.
        out: The run directory.
        targets: Told where metrics are served.
        started: Told of every process that is started.
    """

    scenario: Scenario
    run_id: str
    state: Path
    pins: Path
    out: Path
    targets: Targets
    started: Callable[[Process], None]

    def of(self, node: str, name: str) -> Path:
        """Return the path of a socket or a configuration file of a node."""
        return self.state / f"{node}.{name}"

    def history(self, part: str) -> Path:
        """Return the path of a part of the history."""
        return self.out / "history" / f"{part}.jsonl"

    def log(self, process: str) -> Path:
        """Return the path of the log of a process, such as ``n1 heartbeat``."""
        return self.out / "logs" / f"{process.replace(' ', '-')}.log"

    def spawn(
        self,
        name: str,
        command: list[str],
        *,
        netns_pid: int | None = None,
        cgroup: Path | None = None,
        realtime: bool = False,
    ) -> Process:
        """Start a process of the run, which says what it has to say in its log."""
        process = spawn(
            command,
            name=name,
            log=self.log(name),
            netns_pid=netns_pid,
            cgroup=cgroup,
            realtime=realtime,
        )
        self.started(process)
        return process


def ended_by_itself(process: Process) -> RunInvalid:
    """Return the error to raise for a process that ended though nobody ended it."""
    words = process.last_words(PANIC) or process.last_words() or f"no word in {process.log}"
    return RunInvalid(f"{process.name} ended by itself ({process.poll()}): {words}")


class Killable:
    """A daemon that a fault may kill: the cluster goes on, and another one takes over.

    Args:
        run: The run.
        name: What the daemon is, such as ``n1 agent``.
        module: What Python runs.
        config: Where the daemon's configuration is written.
        realtime: Whether the daemon goes before all others.
    """

    def __init__(
        self, run: LiveRun, name: str, module: str, config: Path, *, realtime: bool = False
    ) -> None:
        self.process: Process | None = None  # also while the daemon is killed
        self._run = run
        self._name = name
        self._module = module
        self._config = config
        self._realtime = realtime
        self._cgroup: Path | None = None

    def begin(self, config: object, cgroup: Path) -> None:
        """Write the configuration and start the daemon for the first time."""
        write_config(self._config, config)
        self._cgroup = cgroup
        self._spawn()

    def _spawn(self) -> Process:
        command = argv(self._module, self._config)
        self.process = self._run.spawn(
            self._name, command, cgroup=self._cgroup, realtime=self._realtime
        )
        return self.process

    def kill(self) -> bool:
        """SIGKILL the daemon; returns whether there was one."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
        return process is not None

    def stop(self) -> None:
        """End the daemon."""
        if self.process is not None:
            self.process.terminate(5.0)
            self.process = None
