"""One run in a process of its own: ``python -m crunchbed.experiments.sweep.child SPEC``.

SPEC is a JSON file with ``scenario``, ``seed``, ``out`` and ``parent``. The run is asked to
end, and so undoes what it has made, when the process that started it dies, however that happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

import orjson

from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import CrunchbedError

INTERRUPTED = 130
_PR_SET_PDEATHSIG = 1


def _end_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(INTERRUPTED)


def main(path: Path) -> int:
    """Make the run; returns 0 where there is a result, whatever its verdict."""
    spec = orjson.loads(path.read_bytes())
    _end_with(spec["parent"])
    from crunchbed.run import engine  # brings the checks and the report

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


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
