"""Targets: nbdkit and tgtd, each serving one file at one address.

``start`` starts one and waits until it takes logins; ``StartedTarget`` does not wait.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from nodes.block.pattern import BLOCK_BYTES
from nodes.block.transport import LUN, TARGET_NAME
from nodes.process import Process
from nodes.waiting import wait_until
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement

START_SECONDS = 10.0
_ADMIN_SECONDS = 5.0
_DELAYING_THREADS = "16"  # nbdkit's default
_TID = "1"


@dataclass(frozen=True)
class TargetSettings:
    """One target.

    Attributes:
        transport: ``nbd`` or ``iscsi``.
        address: IPv4 address to serve at; the host must have it already.
        port: TCP port.
        disk: The file that is served; it outlives the target's process.
        control: tgtd's control socket; its path plus two characters must fit into 107 bytes.
        chap: User and secret that initiators must know.
        write_delay_ns: By how much every write takes longer (nbdkit's delay filter; nbd only).
    """

    transport: str
    address: str
    port: int
    disk: Path
    control: Path
    chap: tuple[str, str] | None = None
    write_delay_ns: int = 0


def make_disk(path: Path, size_bytes: int) -> None:
    """Make an empty sparse file: it takes only the room of what is written to it."""
    with path.open("xb") as disk:
        disk.truncate(size_bytes)


def nbdkit_argv(address: str, port: int, *plugin: str) -> list[str]:
    """Return the command of nbdkit in the foreground, on one address of its network namespace.

    A connection has one thread, unless ``plugin`` asks for more. With its usual sixteen threads,
    nbdkit before 1.34 ends on an assertion, with all its connections, when an initiator hangs up
    while replies are under way (nbdkit's commit 9d82aa4f, "Don't assert on send").
    """
    return [
        *("nbdkit", "--foreground", "--threads", "1"),
        *("--ipaddr", address, "--port", str(port), *plugin),
    ]


def argv(settings: TargetSettings) -> list[str]:
    """Return the command of the target's process.

    Neither target writes through: an acknowledged block is in the page cache, which outlives the
    process. An initiator that asks for no FUA gets the same from a disk with a write cache.
    """
    if settings.transport == "nbd":
        plugin = ["file", str(settings.disk)]
        if settings.write_delay_ns:
            delay = f"wdelay={settings.write_delay_ns // 1_000_000}ms"
            # The delays of queued writes overlap, as a disk's do, only with a thread for each.
            plugin = ["--threads", _DELAYING_THREADS, "--filter", "delay", *plugin, delay]
        return nbdkit_argv(settings.address, settings.port, *plugin)
    portal = f"portal={settings.address}:{settings.port}"
    return [*_tgt(settings, "tgtd"), "--foreground", "--iscsi", portal]


def _tgt(settings: TargetSettings, program: str) -> list[str]:
    return ["env", f"TGT_IPC_SOCKET={settings.control}", _find(program) or program]


def _find(program: str) -> str | None:
    """Look in the sbin directories too: a root shell of plain ``su`` has none in its path."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _admin(settings: TargetSettings, op: str, mode: str, *arguments: str) -> list[str]:
    return [
        *_tgt(settings, "tgtadm"),
        *("--lld", "iscsi", "--op", op, "--mode", mode, *arguments),
    ]


def set_up_steps(settings: TargetSettings) -> list[list[str]]:
    """Return the commands that set a running target up; it takes logins after the last one."""
    if settings.transport == "nbd":
        return []
    tid = ("--tid", _TID)
    disk = ("--lun", str(LUN), "--blocksize", str(BLOCK_BYTES), "--backing-store")
    steps = [
        _admin(settings, "new", "target", *tid, "--targetname", TARGET_NAME),
        _admin(settings, "new", "logicalunit", *tid, *disk, str(settings.disk)),
    ]
    if settings.chap is not None:
        user, secret = settings.chap
        steps += [
            _admin(settings, "new", "account", "--user", user, "--password", secret),
            _admin(settings, "bind", "account", *tid, "--user", user),
        ]
    return [*steps, _admin(settings, "bind", "target", *tid, "--initiator-address", "ALL")]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_ADMIN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CrunchbedError(f"tgtadm: no end in {_ADMIN_SECONDS:g} s") from error


def answers(settings: TargetSettings) -> bool:
    """Return whether a started target can be set up, or needs no setting up."""
    if settings.transport == "nbd":
        return True
    shown = _run(_admin(settings, "show", "portal"))
    # tgtd goes on without its portal when the address or the port could not be had.
    return shown.returncode == 0 and f"{settings.address}:{settings.port}" in shown.stdout


def set_up(settings: TargetSettings) -> None:
    """Tell a target that answers what to serve; raises CrunchbedError where the target refuses."""
    for step in set_up_steps(settings):
        done = _run(step)
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
            raise CrunchbedError(f"tgtadm refused: {words[-1]}")


def require_free(address: str, port: int) -> None:
    """Refuse a port that another program listens on; to be called inside the namespace.

    tgtd would go on without the port, and ``is_listening`` would find the other program.

    Raises:
        BadInput: The port is taken.
        CrunchbedError: The host does not have the address.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                got = f"{port}, which another program listens on"
                text = f"block_io.port: expected a TCP port that is free on {address}, got {got}"
                raise BadInput(text) from error
            raise CrunchbedError(f"cannot serve at {address}:{port}: {error.strerror}") from error


def is_listening(address: str, port: int) -> bool:
    """Return whether a program accepts connections; to be called inside the namespace."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((address, port)) == 0


def require_program(settings: TargetSettings) -> None:
    """Raise MissingRequirement on a machine without the target's program, with what installs it."""
    program = {"nbd": "nbdkit", "iscsi": "tgtd"}[settings.transport]
    if _find(program) is None:
        raise MissingRequirement(f"this machine lacks {program} (make setup)")


class StartedTarget:
    """One target process, from its start to its end; nothing here waits for long.

    Args:
        settings: What is served where; the host has the address already.
        launch: Starts a command. The caller visits the target's network namespace at each call.

    Raises:
        BadInput: The port is taken.
        CrunchbedError: The address is not there.
    """

    def __init__(self, settings: TargetSettings, launch: Callable[[list[str]], Process]) -> None:
        require_free(settings.address, settings.port)
        self.process = launch(argv(settings))
        self.name, self.log = self.process.name, self.process.log
        self._settings = settings
        self._is_set_up = False

    def ended(self) -> str | None:
        """How it ended by itself, in words; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        words = self.process.last_words() if code > 0 else ""
        return f"target ended ({code})" + (f": {words}" if words else "")

    def takes_logins(self) -> bool:
        """Whether initiators can log in; raises CrunchbedError where they never will."""
        if not self._is_set_up:
            if not answers(self._settings):
                return False
            try:
                set_up(self._settings)
            except CrunchbedError:
                if self.ended() is None:
                    raise
                return False  # it ended in the middle of that
            self._is_set_up = True
        return is_listening(self._settings.address, self._settings.port)

    def end(self) -> None:
        """Kill it and wait for its end: what it has acknowledged is in the file behind it."""
        self.process.kill()


def start(
    settings: TargetSettings,
    launch: Callable[[list[str]], Process],
    *,
    inside: Callable[[], AbstractContextManager[None]] = nullcontext,
    pump: Callable[[], object] | None = None,
) -> Process:
    """Start a target and return when initiators can log in; see ``StartedTarget``.

    ``launch`` starts a command in the target's network namespace, and ``inside`` visits that;
    ``pump`` is called while waiting.

    Raises:
        MissingRequirement: The program is not installed.
        CrunchbedError: The target did not come up; names its log.
    """
    require_program(settings)
    with inside():
        target = StartedTarget(settings, launch)
    process = target.process

    def alive() -> None:
        if pump is not None:
            pump()
        if process.poll() is not None:
            raise CrunchbedError(f"{process.name} ended: {process.last_words()}")

    def takes_logins() -> bool:
        with inside():
            return target.takes_logins()

    what = f"the {settings.transport} target at {settings.address}:{settings.port}; {process.log}"
    wait_until(takes_logins, START_SECONDS, what, pump=alive)
    return process
