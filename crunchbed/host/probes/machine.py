"""The machine as probes see it; tests put a fake in its place."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crunchbed.host import room

COMMAND_SECONDS = 20.0
# A root shell made by plain `su` has no sbin in its path.
_SEARCH_PATH = os.pathsep.join(
    (os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin")
)


class Seen(NamedTuple):
    """What a probe found."""

    present: bool
    detail: str


NOT_TRIED = Seen(present=False, detail="not tried: needs root")


class Answer(NamedTuple):
    """What a command said: its last line on stderr is the reason where it failed."""

    ok: bool
    output: str
    reason: str


def find_tool(name: str) -> str | None:
    """Path of an executable, looked for in the sbin directories too."""
    return shutil.which(name, path=_SEARCH_PATH)


def run_command(argv: Sequence[str]) -> Answer:
    """Run one command to its end, at most ``COMMAND_SECONDS``; never raises for its failure."""
    tool = find_tool(argv[0])
    if tool is None:
        return Answer(ok=False, output="", reason=f"{argv[0]} is not installed")
    try:
        done = subprocess.run(
            [tool, *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            env={**os.environ, "PATH": _SEARCH_PATH, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        return Answer(ok=False, output="", reason=f"{argv[0]}: no end in {COMMAND_SECONDS:g} s")
    lines = done.stderr.strip().splitlines() or [f"{argv[0]}: exit status {done.returncode}"]
    reason = lines[-1].removeprefix("Error: ").rstrip(".")
    return Answer(done.returncode == 0, done.stdout.strip(), reason)


def _is_importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _load_problem(library: str) -> str | None:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class Machine:
    """Where probes look."""

    root: Path = Path("/")  # directory that stands for ``/``
    run: Callable[[Sequence[str]], Answer] = run_command
    which: Callable[[str], str | None] = find_tool  # finds an executable
    importable: Callable[[str], bool] = _is_importable  # whether Python has a module
    loadable: Callable[[str], str | None] = _load_problem  # why a library cannot be loaded
    euid: Callable[[], int] = os.geteuid
    # How much room there is below a path; None: no limit is known.
    free_bytes: Callable[[Path], int | None] = room.free_bytes

    @property
    def mounts(self) -> Path:
        """The table of mounts."""
        return self.root / "proc/self/mounts"


THIS_MACHINE = Machine()
