"""A real NBD target on the loopback interface; needs no root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import nbd
import pytest

from nodes.block.target import is_listening, nbdkit_argv
from nodes.waiting import wait_until

ADDRESS, BYTES = "127.0.0.1", 1 << 20
needs_nbdkit = pytest.mark.skipif(shutil.which("nbdkit") is None, reason="nbdkit is not installed")


class Target:
    """nbdkit, to be killed and started again on the same port and with the same data."""

    def __init__(self, scratch: Path, *filters: str) -> None:
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            self.port = probe.getsockname()[1]
        self.disk = scratch / "disk"
        self.disk.write_bytes(bytes(BYTES))
        self._filters = filters
        self.start()

    def start(self) -> None:
        plain = nbdkit_argv(ADDRESS, self.port, BYTES)
        argv = [*plain[: plain.index("memory")], *self._filters[:1], "file", str(self.disk)]
        self.process = subprocess.Popen([*argv, *self._filters[1:]])
        wait_until(lambda: is_listening(ADDRESS, self.port), 5, "nbdkit listens")

    def freeze(self) -> None:
        """From here on it answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def connect(self) -> nbd.NBD:
        handle = nbd.NBD()
        handle.connect_tcp(ADDRESS, str(self.port))
        return handle
