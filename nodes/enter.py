"""Put the calling process in a node, then become another program.

Run by path, not imported, and by a bare interpreter (``python -I -S enter.py``): every daemon
start pays for this file, so it needs nothing but ctypes (10 ms in all).

    enter.py PARENT CGROUP NETNS POLICY PROGRAM [ARGUMENT...]

PARENT is the pid of the spawning process. CGROUP is a cgroup v2 directory or ``-``. NETNS is a path
such as ``/proc/123/ns/net`` or ``-``. POLICY is ``rr`` or ``-``. A step that fails prints one line
to stderr and exits with 125.
"""

from __future__ import annotations

import ctypes
import os
import sys

FAILED = 125
_SPIN_MICROSECONDS = 2_000_000
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x40000000
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25

_libc = ctypes.CDLL(None, use_errno=True)
_libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
_libc.signal.restype = ctypes.c_void_p


def join_cgroup(directory: str) -> None:
    """Move the calling process into a cgroup v2 directory."""
    with open(f"{directory}/cgroup.procs", "w") as procs:  # noqa: PTH123 (pathlib costs 5 ms)
        procs.write(str(os.getpid()))


def enter_netns(path: str) -> None:
    """Move the calling *thread* into the network namespace at ``path``, and no other namespace.

    The mount namespace stays: ``ip netns exec`` would remount /sys and hide pinned BPF objects.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # os.setns exists from Python 3.12 on.
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(descriptor)


def die_with_parent(parent: int) -> None:
    """Have the kernel SIGKILL this process when the thread that spawned it ends.

    The tie is to the spawning *thread*: whoever spawns must do so from a thread that outlives
    the child. The tie survives exec, but not a fork: children of the child are not bound.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent:
        raise OSError(3, f"parent {parent} is gone")


def run_realtime() -> None:
    """Run this process before every normal task, at the lowest real-time priority.

    A real-time daemon that spins would stop the machine. So the kernel kills a daemon that uses two
    seconds of processor time without waiting for anything; its children have the same limit.
    """
    import resource  # loaded here: daemons without real-time priority need not wait for it

    resource.setrlimit(resource.RLIMIT_RTTIME, (_SPIN_MICROSECONDS, _SPIN_MICROSECONDS))
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def become(argv: list[str]) -> None:
    """Replace this process by the program ``argv``, which is looked up in PATH."""
    # Python ignores these two, and an ignored signal stays ignored across exec.
    for number in (_SIGPIPE, _SIGXFSZ):
        _libc.signal(number, None)
    os.execvp(argv[0], argv)  # noqa: S606


def main(arguments: list[str]) -> int:
    """Do the steps in order; returns only on failure."""
    parent, cgroup, netns, policy, *argv = arguments
    step = "read its arguments"
    try:
        if cgroup != "-":
            step = f"join cgroup {cgroup}"
            join_cgroup(cgroup)
        if netns != "-":
            step = f"enter network namespace {netns}"
            enter_netns(netns)
        step = "bind its life to its parent"
        die_with_parent(int(parent))
        if policy == "rr":
            step = "get real-time priority"
            run_realtime()
        step = f"execute {argv[0]}"
        become(argv)
    except OSError as error:
        sys.stderr.write(f"crunchbed: cannot {step}: {error.strerror}\n")
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
