"""One run in a process of its own: what a worker starts, and what that process does.

The directory of the run comes back as an archive, so that workers and the sweep need no disk in
common, and a run arrives whole or not at all. The process is asked to end, and so undoes what the
run has made, when the worker that started it dies, however that happens.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import orjson

from crunchbed.experiments.sweep.made import INTERRUPTED, Made, pack
from crunchbed.host.scratch import LOCKED, scratch
from reserve_agent.errors import CrunchbedError

_PR_SET_PDEATHSIG: Final = 1


def make(scenario: dict[str, Any], seed: int, parent: str | None = None) -> Made:
    """Make one run of a resolved scenario in a new process; wait for its end.

    It works in ``parent``, by default the directory for temporary files.
    """
    with scratch("trial", None if parent is None else Path(parent)) as place:
        out = place / "run"
        spec = place / LOCKED
        content = {"scenario": scenario, "seed": seed, "out": str(out), "parent": os.getpid()}
        spec.write_bytes(orjson.dumps(content))
        # Its own process group: Ctrl-C reaches the sweep, which ends its workers and so this.
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            check=False,
        )
        words = done.stderr.decode(errors="replace").strip().splitlines()
        if not (out / "result.json").exists():
            code = done.returncode if done.returncode > 0 else 3
            return Made(b"", code, words[-1] if words else f"ended with {done.returncode}")
        return Made(pack(out), 0, "")


def main(path: Path) -> int:
    """Make the run that the JSON file ``path`` says: ``scenario``, ``seed``, ``out``, ``parent``.

    Returns 0 where there is a result, whatever its verdict; else the exit code of the error.
    """
    told = path.open("rb")  # locked until this process ends: the sweep waits for that
    fcntl.flock(told, fcntl.LOCK_SH)
    spec = orjson.loads(told.read())
    _end_with(spec["parent"])
    from crunchbed.run import engine  # brings the checks and the report
    from crunchbed.scenario.schema import Scenario

    scenario = Scenario.model_validate(spec["scenario"])
    out = Path(spec["out"])
    try:
        engine.run(scenario, seed=spec["seed"], out=out)
    except KeyboardInterrupt:
        return INTERRUPTED
    except CrunchbedError as error:
        if (out / "result.json").exists():
            return 0
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return error.exit_code
    return 0


def _end_with(parent: int) -> None:
    """Get SIGTERM when the parent process dies; end at once if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
