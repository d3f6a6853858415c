"""How long 600 simulated runs of ``dose-response`` take: a sweep, as a user makes it.

They are the points of the figure in docs/results.md, five seeds of each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from rich.table import Table

from bench.spread import Spread, coloured

ROUNDS: Final = 1
GOAL_SECONDS: Final = 240.0
PROCESSES: Final = 2
_VARY: Final = (
    "policy=none,softnet,memalloc,mempool,critical",
    "crunch.depth=0.5,0.9,0.97,1",
    "crunch.length=300ms,500ms,1s",
    "memory.reserve=64,256",
)
_SEEDS: Final = "1..5"


@dataclass(frozen=True)
class Sweep:
    """One sweep.

    Attributes:
        runs: That were made.
        valid: Of those.
        seconds: From its start to its end.
        processor_seconds: Of all its processes.
    """

    runs: int
    valid: int
    seconds: float
    processor_seconds: float


def run(rounds: int) -> list[Sweep]:
    """Make the sweep in each round."""
    return [_sweep() for _ in range(rounds)]


def _sweep() -> Sweep:
    argv = [sys.executable, "-m", "crunchbed", "sweep", "dose-response"]
    argv += ["--backend", "simulation", "--workers", str(PROCESSES), "--seeds", _SEEDS]
    argv += [word for axis in _VARY for word in ("--vary", axis)]
    with tempfile.TemporaryDirectory() as place:
        before, began = os.times(), time.monotonic()
        subprocess.run(
            [*argv, "--out", f"{place}/sweep"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        seconds, after = time.monotonic() - began, os.times()
        summary = orjson.loads((Path(place) / "sweep" / "summary.json").read_bytes())
    spent = sum(after[2:4]) - sum(before[2:4])
    points = summary["points"]
    runs, valid = (sum(point[key] for point in points) for key in ("runs", "valid"))
    return Sweep(runs, valid, seconds, spent)


def table(found: list[Sweep]) -> Table:
    """One row."""
    made = Table(title=f"a sweep of dose-response on {PROCESSES} processes: median (quartiles)")
    for heading in ("runs", "valid", f"s (goal {GOAL_SECONDS:g})", "processor s"):
        made.add_column(heading, justify="right")
    seconds = Spread.of([one.seconds for one in found])
    made.add_row(
        str(found[0].runs),
        str(found[0].valid),
        coloured(seconds.shown(0), good=seconds.median <= GOAL_SECONDS),
        Spread.of([one.processor_seconds for one in found]).shown(0),
    )
    return made


def as_dict(found: list[Sweep]) -> list[dict[str, Any]]:
    """For the JSON file."""
    return [asdict(one) for one in found]
