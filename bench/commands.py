"""How long the command line takes to start."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from bench import timed
from bench.timed import Result, as_dict

__all__ = ["ROUNDS", "as_dict", "run", "table"]

ROUNDS = 15
COMMANDS = {"--help": ["--help"], "run --help": ["run", "--help"], "list": ["list"]}


def run(rounds: int = ROUNDS, beside: Path | None = None) -> Result:
    """Start every command in every round; ``beside`` is another checkout to compare with."""
    return timed.in_turns(COMMANDS, rounds, beside)


def table(found: Result) -> Table:
    """One row for a command."""
    return timed.table("start of the command line", found)
