"""A real target on the loopback interface, to be killed and started again with the same data."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from nodes.block import target as targets
from nodes.block.target import TargetSettings
from nodes.process import Process, spawn

ADDRESS, BYTES = "127.0.0.1", 1 << 20
needs_nbdkit = pytest.mark.skipif(shutil.which("nbdkit") is None, reason="nbdkit is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


class Target:
    """nbdkit or tgtd; ``filters`` are nbdkit's filter and its parameters."""

    def __init__(
        self,
        scratch: Path,
        *filters: str,
        transport: str = "nbd",
        chap: tuple[str, str] | None = None,
    ) -> None:
        self.disk = scratch / "disk"
        targets.make_disk(self.disk, BYTES)
        self.settings = TargetSettings(
            transport, ADDRESS, free_port(), self.disk, scratch / "tgt", chap
        )
        self._log = scratch / "target.log"
        self._filters = filters
        self.start()

    @property
    def port(self) -> int:
        return self.settings.port

    def start(self, **changes: object) -> None:
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        self.process = targets.start(settings, self._launch)

    def _launch(self, argv: list[str]) -> Process:
        if self._filters:
            at = argv.index("file")
            argv = [*argv[:at], self._filters[0], *argv[at:], *self._filters[1:]]
        return spawn(argv, name="target", log=self._log, netns_pid=None, cgroup=None)

    def freeze(self) -> None:
        """From here on it answers nothing."""
        self.process.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        self.process.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
