"""How long a history of a million events takes: reading and judging, and the report on top."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from bench import timed
from bench.long_history import write_long_run
from bench.timed import Result, as_dict
from crunchbed.host.scratch import ended_by_signals, scratch

__all__ = ["ROUNDS", "as_dict", "run", "table"]

ROUNDS = 3
EVENTS = 1_000_000


def run(rounds: int = ROUNDS, beside: Path | None = None) -> Result:
    """Judge and report the same run in every round; ``beside`` is a checkout to compare with."""
    with ended_by_signals(), scratch("bench") as directory:
        long = directory / "long"
        write_long_run(long, EVENTS)
        commands = {
            "judge": ["judge", str(long)],
            "report": ["report", str(long), "--out", f"{directory}/report.html"],
        }
        return timed.in_turns(commands, rounds, beside)


def table(found: Result) -> Table:
    """One row for a command."""
    return timed.table(f"a run of {EVENTS:,} events", found)
