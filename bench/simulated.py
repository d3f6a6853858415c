"""What whole simulated runs cost: start, every phase, reading back, judging, without the report.

The cluster is that of ``scenarios/thousand-swim.yaml`` without its crunch, at several sizes: SWIM
at a period of a second, a write of each node every 32 seconds. Each run is in a process of its own;
times are those of its processor.
"""

from __future__ import annotations

import resource
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
from crunchbed.run import engine
from crunchbed.run.progress import Progress
from crunchbed.scenario.loader import load

SIZES: Final = (100, 300, 1_000, 3_000, 10_000)
ROUNDS: Final = 3
GOALS: Final = {1_000: 10.0, 10_000: 1.0}
"""So many times as fast as the run's own clock, by the number of nodes, all of the run counted."""
_CONTROL_SECONDS: Final = 120


@dataclass(frozen=True)
class Cost:
    """One run.

    Attributes:
        simulated_seconds: From the first event of the run to the last one.
        seconds: Of the processor for that: from the making of the nodes to the verdict.
        period_microseconds: Of a node in a period of the control phase.
        megabytes: Most memory that the process had, 2**20 bytes each.
        events: In the history.
    """

    simulated_seconds: float
    seconds: float
    period_microseconds: float
    megabytes: float
    events: int


Result = dict[int, list[Cost]]


class _Phases(Progress):
    """When each phase began, in seconds of the processor."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def phase(self, name: str, seconds: float | None) -> None:  # noqa: ARG002 - a protocol
        """See ``Progress.phase``."""
        self.began[name] = time.process_time()


def measure(nodes: int, control_seconds: int = _CONTROL_SECONDS) -> Cost:
    """Make one run, in this process."""
    scenario = load("thousand-swim").with_overrides(
        {
            "cluster.nodes": nodes,
            "crunch": None,
            "expect": [],
            "phases.control": f"{control_seconds}s",
            "phases.inject": "1s",
        }
    )
    phases = _Phases()
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        began = time.process_time()
        result = engine.run(scenario, out=out, progress=phases, report=False)
        seconds = time.process_time() - began
        with (out / "history.jsonl").open("rb") as history:
            events = sum(1 for _ in history)
    if result.verdict != "pass":
        raise RuntimeError(f"{nodes} nodes: {result.verdict}: {'; '.join(result.reasons)}")
    control = phases.began["inject"] - phases.began["control"]
    return Cost(
        simulated_seconds=result.duration_seconds,
        seconds=seconds,
        period_microseconds=control * 1e6 / (nodes * control_seconds),
        megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        events=events,
    )


def run(rounds: int) -> Result:
    """Make a run of every size in each round, the largest last."""
    found: Result = {size: [] for size in SIZES}
    for _ in range(rounds):
        for size, costs in found.items():
            argv = [sys.executable, "-m", "bench.simulated", str(size)]
            done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
            costs.append(Cost(**orjson.loads(done.stdout)))
    return found


def table(found: Result) -> Table:
    """One row for a size."""
    made = Table(title="a whole run by SWIM, nothing wrong: median (quartiles)")
    headings = (
        *("nodes", "simulated s", "processor s", "times as fast (goal)"),
        *("microseconds a node and period", "MiB", "events"),
    )
    for heading in headings:
        made.add_column(heading, justify="right")
    for size, costs in found.items():
        fast = Spread.of([one.simulated_seconds / one.seconds for one in costs])
        goal = GOALS.get(size)
        shown = fast.shown(1)
        if goal is not None:
            shown = f"{coloured(shown, good=fast.median >= goal)} ({goal:g})"
        made.add_row(
            f"{size:,}",
            f"{costs[0].simulated_seconds:.1f}",
            Spread.of([one.seconds for one in costs]).shown(1),
            shown,
            Spread.of([one.period_microseconds for one in costs]).shown(1),
            f"{max(one.megabytes for one in costs):.0f}",
            f"{costs[0].events:,}",
        )
    return made


def as_dict(found: Result) -> list[dict[str, Any]]:
    """For the JSON file."""
    return [{"nodes": size, "runs": [asdict(one) for one in found[size]]} for size in found]


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(asdict(measure(*map(int, sys.argv[1:])))))
