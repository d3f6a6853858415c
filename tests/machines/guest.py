"""One guest on its own: no tap, no root, no network of the host."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodes.corosync.config import CorosyncSettings
from nodes.guest.corosync import tell_corosync
from nodes.guest.layout import SHARED_BYTES, Kind, RingName, State
from nodes.guest.messages import Done
from nodes.guest.ring import SharedMemory

QEMU = "/usr/bin/qemu-system-x86_64"
BUILT = Path(os.environ.get("CRUNCHBED_MACHINES", "build/machines"))
TARGET_ADDRESS, TARGET_PORT = "10.0.2.100", 10809
TARGET = f"guestfwd=tcp:{TARGET_ADDRESS}:{TARGET_PORT}-cmd:nbdkit --single memory 16M"
"""A block device for one connection: QEMU starts the target, and is its network."""
SINK_PORT = 9001
BOOT_SECONDS = 120.0
"""A quiet machine needs 3 to 10 s by emulation."""


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Look every 5 ms; returns whether it came to hold."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class Guest:
    """A running guest and the memory that it shares.

    Attributes:
        sink: UDP port of this host from which QEMU forwards to ``SINK_PORT`` of the guest.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], memory: memoryview, console: Path, sink: int
    ) -> None:
        self.process = process
        self.sink = sink
        self.console = console
        self.shared = SharedMemory(memory)
        self._control = self.shared.ring(RingName.CONTROL)
        self._answers = self.shared.ring(RingName.ANSWERS)
        self._disk = self.shared.ring(RingName.DISK)
        self._ids = 0

    @property
    def last_id(self) -> int:
        """The id of the last command."""
        return self._ids

    def do(
        self, kind: Kind, body: ctypes.Structure | bytes | None = None, *, of_disk: bool = False
    ) -> Done:
        """Give a command; return the answer, which is the control thread's or of its disk."""
        answers = self._disk if of_disk else self._answers
        self._ids += 1
        assert self._control.put(kind, self._ids, bytes(body) if body is not None else b"")
        found: list[Done] = []

        def answered() -> bool:
            found.extend(
                Done.from_buffer_copy(message.body)
                for message in answers.take()
                if message.id == self._ids
            )
            return bool(found)

        assert wait_for(answered, 10), f"no answer to {kind.name}: {self.console.read_text()}"
        return found[0]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _arguments(
    kernel: Path, nic: str, shared: Path, console: Path, sink: int, *, corosync: bool
) -> list[str]:
    memory, initramfs = ("256", "initramfs-corosync") if corosync else ("128", "initramfs")
    network = f"user,id=n0,restrict=on,{TARGET},hostfwd=udp:127.0.0.1:{sink}-10.0.2.15:{SINK_PORT}"
    append = (
        "console=ttyS0 quiet loglevel=1 panic=-1 zswap.enabled=0 ipv6.disable=1 "
        f"crunchbed.nic={nic} crunchbed.address=10.0.2.15/24{' crunchbed.port=0' * corosync}"
    )
    return [
        *(QEMU, "-M", "pc", "-accel", "tcg", "-cpu", "qemu64", "-smp", "1", "-m", memory),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-kernel", str(kernel / "vmlinuz"), "-initrd", str(kernel / initramfs)),
        *("-append", append),
        *("-netdev", network, "-device", f"{nic},netdev=n0,romfile="),
        "-object",
        f"memory-backend-file,id=shared,share=on,mem-path={shared},size={SHARED_BYTES}",
        *("-device", "ivshmem-plain,memdev=shared", "-serial", f"file:{console}"),
    ]


@contextmanager
def started(
    kernel: str, nic: str, folder: Path, corosync: CorosyncSettings | None = None
) -> Iterator[Guest]:
    """Start a guest, which may or may not come up; it is killed at the end."""
    needed = "initramfs" if corosync is None else "initramfs-corosync"
    if not Path(QEMU).exists() or not (BUILT / kernel / needed).exists():
        pytest.skip(f"no QEMU or no kernel {kernel} in {BUILT}: make machines")
    shared, console = folder / "shared", folder / "console"
    shared.write_bytes(bytes(SHARED_BYTES))
    console.touch()
    with shared.open("r+b") as file:
        # Not closed: structures that tests hold refer to it.
        memory = mmap.mmap(file.fileno(), SHARED_BYTES)
    prepared = SharedMemory(memoryview(memory))
    prepared.prepare()
    if corosync is not None:
        tell_corosync(corosync, prepared)
    sink, with_corosync = _free_port(), corosync is not None
    arguments = _arguments(BUILT / kernel, nic, shared, console, sink, corosync=with_corosync)
    process = subprocess.Popen(arguments)
    try:
        yield Guest(process, memoryview(memory), console, sink)
    finally:
        process.kill()
        process.wait()


@contextmanager
def booted(
    kernel: str, nic: str, folder: Path, corosync: CorosyncSettings | None = None
) -> Iterator[Guest]:
    """Start a guest and wait for its agent."""
    with started(kernel, nic, folder, corosync) as guest:
        agent = guest.shared.agent
        up = wait_for(lambda: agent.state != State.NONE, BOOT_SECONDS)
        assert up, guest.console.read_text()
        assert agent.state == State.READY, agent.failure.decode()
        yield guest
