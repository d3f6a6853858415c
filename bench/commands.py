"""How long the command line takes to start, and to judge and report a run of a million events."""

from __future__ import annotations

from pathlib import Path

from bench.long_history import write_long_run
from bench.timed import Result, Timed, in_turns
from crunchbed.host.scratch import scratch
from crunchbed.run.signals import ended_by_signals

EVENTS = 1_000_000
COMMANDS = {"--help": ["--help"], "run --help": ["run", "--help"], "list": ["list"]}


def _start(rounds: int, beside: Path | None) -> Result:
    return in_turns(COMMANDS, rounds, beside)


def _judge_and_report(rounds: int, beside: Path | None) -> Result:
    with ended_by_signals(), scratch("bench") as directory:
        long = directory / "long"
        write_long_run(long, EVENTS)
        commands = {
            "judge": ["judge", str(long)],
            "report": ["report", str(long), "--out", f"{directory}/report.html"],
        }
        return in_turns(commands, rounds, beside)


STARTS = Timed("start of the command line", 15, _start)
HISTORY = Timed(f"a run of {EVENTS:,} events", 3, _judge_and_report)
