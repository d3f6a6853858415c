"""``crunchbed up --detach``: a held cluster in a process of its own, for scripts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from crunchbed.cli.options import Options
from crunchbed.live import runs
from nodes.waiting import wait_until
from reserve_agent.errors import BadInput, CrunchbedError, MissingRequirement

_UP_SECONDS: Final = 600.0
_END_SECONDS: Final = 60.0
_ERRORS: Final[Mapping[int, type[CrunchbedError]]] = {2: BadInput, 4: MissingRequirement}


def command(scenario: str, options: Options, directory: Path) -> list[str]:
    """Return the command that holds the same cluster in the foreground."""
    found = [sys.executable, "-m", "crunchbed", "up", scenario, "--quiet", "--out", str(directory)]
    for override in options.overrides:
        found += ["--set", override]
    given = {
        "--policy": options.policy,
        "--memalloc": options.memalloc,
        "--backend": options.backend,
        "--kernel": options.kernel,
        "--modules": options.modules,
        "--headers": options.headers,
    }
    for option, value in given.items():
        found += [] if value is None else [option, str(value)]
    return [*found, *(["--prometheus"] if options.prometheus else [])]


def hold(command: Sequence[str], directory: Path, log: Path) -> str:
    """Start the command, and return the run's id as soon as its cluster takes commands.

    The command's process outlives this one; ``log`` gets what it prints. Where it ends before its
    cluster is up, the error has its words and its exit code.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        wait_until(
            lambda: process.poll() is not None or _held_in(directory) is not None,
            _UP_SECONDS,
            f"the cluster is up; {log}",
            0.1,
        )
    except BaseException:  # Ctrl-C too: what nobody waits for is not left running
        process.terminate()
        process.wait(_END_SECONDS)
        raise
    run = _held_in(directory)
    if run is not None:
        return run
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    words = lines[-1].removeprefix("crunchbed: ") if lines else f"it ended; {log}"
    raise _ERRORS.get(process.returncode, CrunchbedError)(words)


def _held_in(directory: Path) -> str | None:
    """Return the run that is held open in a directory, if one is."""
    wanted = directory.resolve()
    live = [run for run in runs.live_runs() if runs.directory_of(run) == wanted]
    return next((run for run in live if runs.is_held(run)), None)
