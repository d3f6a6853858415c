"""Start and end the processes of a node."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from nodes import enter

PROC = Path("/proc")


class Stat(NamedTuple):
    """What ``/proc/PID/stat`` says of a process.

    Attributes:
        program: The name of the program, 15 characters at most.
        state: A letter, such as ``S``: it sleeps; ``T`` and ``t``: it is stopped.
        parent: Pid of the parent.
        start_ticks: When it started, in clock ticks since boot.
    """

    program: str
    state: str
    parent: int
    start_ticks: int


def stat_of(pid: int, proc: Path = PROC) -> Stat | None:
    """Return how process ``pid`` is; None if gone or a zombie."""
    try:
        text = (proc / str(pid) / "stat").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name and may hold blanks and parentheses.
    end = text.rindex(")")
    fields = text[end + 2 :].split()
    if fields[0] in "ZX":
        return None
    return Stat(text[text.index("(") + 1 : end], fields[0], int(fields[1]), int(fields[19]))


def waited_ns(pid: int, proc: Path = PROC) -> dict[int, int]:
    """Return how long each thread of a process has waited for a processor; nothing if gone.

    A wait is added when it is over. A kernel that does not count them says 0.
    """
    found = {}
    try:
        for thread in (proc / str(pid) / "task").iterdir():
            found[int(thread.name)] = int((thread / "schedstat").read_bytes().split()[1])
    except (OSError, IndexError):
        pass  # it ends at this moment, or the kernel has no such file
    return found


def start_ticks(pid: int, proc: Path = PROC) -> int | None:
    """Return when process ``pid`` started, in clock ticks since boot; None if gone or a zombie.

    Pid and start together name a process for good: a recycled pid has another start.
    """
    stat = stat_of(pid, proc)
    return None if stat is None else stat.start_ticks


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """Return the pids of the children of process ``pid``, of their children, and so on."""
    children: dict[int, list[int]] = {}
    for path in proc.glob("[0-9]*"):
        if (stat := stat_of(int(path.name), proc)) is not None:
            children.setdefault(stat.parent, []).append(int(path.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        own = children.get(waiting.pop(), [])
        found += own
        waiting += own
    return found


def kill_if(pid: int, ours: Callable[[int], bool]) -> None:
    """SIGKILL process ``pid`` if ``ours(pid)``; nothing happens if it is gone.

    A descriptor pins the process before ``ours`` is asked: the pid may be recycled meanwhile.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if ours(pid):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def entering(
    argv: Sequence[str],
    *,
    netns_pid: int | None = None,
    cgroup: Path | None = None,
    realtime: bool = False,
) -> list[str]:
    """Return the command that runs ``argv`` inside a node, tied to the life of this process."""
    return [
        sys.executable,
        *("-I", "-S", enter.__file__),
        str(os.getpid()),
        "-" if cgroup is None else str(cgroup),
        "-" if netns_pid is None else f"/proc/{netns_pid}/ns/net",
        "rr" if realtime else "-",
        *argv,
    ]


class Process:
    """A child process with a name and a log of its own."""

    def __init__(self, name: str, log: Path, popen: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.log = log
        self.pid = popen.pid
        self.start_ticks = start_ticks(popen.pid)
        self._popen = popen

    def poll(self) -> int | None:
        """Return its exit code (negative: killed by that signal), or None while it runs."""
        return self._popen.poll()

    def kill(self) -> int:
        """SIGKILL it, wait for its end and return the exit code; harmless on an ended process."""
        self._popen.kill()
        return self._popen.wait()

    def terminate(self, timeout: float) -> int:
        """SIGTERM it, SIGKILL it after ``timeout`` seconds, and return the exit code."""
        self._popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(timeout)
        return self.kill()

    def signal_family(self, number: signal.Signals) -> None:
        """Send a signal to the process and to all that it has started."""
        self.signal(number)
        # A child of a process of ours keeps its pid until that one has taken note of its end; a
        # stopped one takes no note, and the others' children end with them.
        for pid in descendants(self.pid) if self.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; harmless on an ended process."""
        self._popen.send_signal(number)

    def last_words(self, within: str = "") -> str:
        """Return the last line of its log, for an error message; empty if there is none.

        Args:
            within: What the line has in it.
        """
        try:
            lines = self.log.read_text(errors="replace").split("\n")
        except FileNotFoundError:
            return ""
        said = (line.strip() for line in reversed(lines) if within in line)
        return next(filter(None, said), "")


def spawn(
    argv: Sequence[str],
    *,
    name: str,
    log: Path,
    netns_pid: int | None,
    cgroup: Path | None,
    realtime: bool = False,
) -> Process:
    """Start ``argv``, a program of PATH with arguments, inside a node.

    The child joins ``cgroup``, enters the network namespace of process ``netns_pid`` (and no
    other namespace of that process), and is SIGKILLed when the calling thread ends: call this from
    the main thread, or from a thread that outlives the child. A step that fails makes the child
    exit with ``enter.FAILED`` and one line in its log.

    Args:
        argv: Program and arguments.
        name: What to call the child in messages, e.g. "n1 heartbeat".
        log: File to which its stdout and stderr are appended.
        netns_pid: A process in the namespace to enter; None stays in the caller's.
        cgroup: Cgroup v2 directory; None stays in the caller's.
        realtime: Whether it gets SCHED_RR priority 1, which its children inherit.
    """
    command = entering(argv, netns_pid=netns_pid, cgroup=cgroup, realtime=realtime)
    with log.open("ab") as output:
        # The child has a session of its own: a Ctrl-C at the terminal must reach the runner alone,
        # which then stops its daemons in order.
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(name, log, popen)
