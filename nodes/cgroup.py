"""A node's cgroup: where its hooks are attached and its processes are counted."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from nodes.process import kill_if, start_ticks
from nodes.waiting import wait_until
from reserve_agent.errors import CrunchbedError, MissingRequirement

MOUNTS = Path("/proc/mounts")
PREFIX = "crunchbed-"
_END_SECONDS = 5.0


def cgroup2_root(mounts: Path = MOUNTS) -> Path:
    """Return where the cgroup v2 hierarchy is mounted, to which BPF programs attach.

    On a machine with v2 alone that is /sys/fs/cgroup; where v1 holds the controllers it may be
    /sys/fs/cgroup/unified.

    Raises:
        MissingRequirement: No such hierarchy is mounted.
    """
    for line in mounts.read_text().splitlines():
        _source, target, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(target)
    raise MissingRequirement(
        "no cgroup v2 hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified"
    )


def pids_in(directory: Path) -> list[int]:
    """Return the processes of one cgroup directory; none if it does not exist."""
    try:
        text = (directory / "cgroup.procs").read_text()
    except OSError:
        return []
    # 0 stands for a process of another pid namespace: it can be neither named nor signalled here.
    return [pid for pid in map(int, text.split()) if pid]


def _kill_all(directory: Path) -> None:
    """To be repeated: a process may fork after the list was read and before its signal."""
    for pid in pids_in(directory):
        if pid != os.getpid():
            kill_if(pid, lambda pid: pid in pids_in(directory))


def remove_cgroup(directory: Path) -> None:
    """SIGKILL every process in a cgroup that a run has made and below it, then remove all of it.

    Raises:
        CrunchbedError: The cgroup still has processes after 5 s.
    """
    if not directory.is_dir():
        return
    for child in sorted(directory.iterdir()):
        if child.is_dir():
            remove_cgroup(child)

    def removed() -> bool:
        _kill_all(directory)
        try:
            directory.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    wait_until(removed, _END_SECONDS, f"cgroup {directory} is empty", interval=0.005)


@contextlib.contextmanager
def killed_with_this_process(directory: Path) -> Iterator[None]:
    """Have all processes in a cgroup and below it SIGKILLed if this process ends meanwhile.

    ``nodes.enter`` has asked the kernel for that already, but a program may ask for something else.
    nbdkit 1.32 asks for SIGTERM, with ``--exit-with-parent`` or without, and then waits for its
    connections to end; that of a virtual machine that was killed never does.

    A shell waits for the end of its input, of which this process alone has the other end. Linux
    before 5.14 has no ``cgroup.kill``, and the shell does nothing.
    """
    command = ["sh", "-c", 'read _; echo 1 >"$0"', str(directory / "cgroup.kill")]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
    ) as shell:
        try:
            yield
        finally:
            shell.kill()


class NodeCgroup:
    """The cgroup v2 directory ``crunchbed-<run id>/<node>``, with no controller enabled.

    It is below ``root``, or where /proc/mounts has the hierarchy; ``create`` makes it.
    """

    def __init__(self, run_id: str, node: str, root: Path | None = None) -> None:
        self.node = node
        self.path = (cgroup2_root() if root is None else root) / f"{PREFIX}{run_id}" / node

    def create(self) -> None:
        """Make the directory; raises CrunchbedError where it exists, or the kernel refuses."""
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise CrunchbedError(f"cannot make cgroup {self.path}: {error.strerror}") from error

    def pids(self) -> list[int]:
        """Return the processes that are in the cgroup now."""
        return [pid for pid in pids_in(self.path) if start_ticks(pid) is not None]

    def kill(self) -> None:
        """SIGKILL every process in it; return when none is left, or raise CrunchbedError."""

        def empty() -> bool:
            _kill_all(self.path)
            return not self.pids()

        wait_until(empty, _END_SECONDS, f"cgroup {self.path} is empty", interval=0.001)

    def remove(self) -> None:
        """Kill the cgroup's processes and remove it; with the run's last node, its parent too."""
        remove_cgroup(self.path)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()
