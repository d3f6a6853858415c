"""How long commands of ``crunchbed`` take, here and in another checkout, in turns."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.spread import Spread, coloured
from reserve_agent.errors import BadInput, CrunchbedError

ROOT = Path(__file__).resolve().parents[1]
GOAL = 1.1
"""At most so many times as long as in the other checkout."""
_JUDGED = (0, 1, 3)  # exit codes of a command that has done its work, whatever the verdict


@dataclass(frozen=True)
class Times:
    """One start of a command, in seconds.

    Attributes:
        elapsed: From start to end.
        processor: Processor time of the command and its children.
    """

    elapsed: float
    processor: float


Result = dict[tuple[str, str], list[Times]]
"""(command, "here" or "beside") to the times of each round."""


def argv(checkout: Path) -> list[str]:
    """The arguments that start the command line of a checkout, run in that directory.

    Another checkout may need other packages, and so is run by its own environment.

    Raises:
        BadInput: Another checkout has no environment.
    """
    python = Path(sys.executable) if checkout == ROOT else checkout / ".venv" / "bin" / "python"
    if not python.exists():
        raise BadInput(f"{checkout}: has no .venv; run `make setup` there first")
    # Checkouts from before `python -m crunchbed` had the command line in crunchbed/cli.py.
    whole = (checkout / "crunchbed" / "__main__.py").exists()
    return [str(python), "-m", "crunchbed" if whole else "crunchbed.cli"]


def measure(checkout: Path, arguments: Sequence[str]) -> Times:
    """Run one command of a checkout.

    Raises:
        CrunchbedError: it failed.
    """
    command = [*argv(checkout), *arguments]
    began = time.monotonic()
    child = subprocess.Popen(command, cwd=checkout, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    elapsed = time.monotonic() - began
    if child.returncode not in _JUDGED:
        raise CrunchbedError(f"{' '.join(command)}: exit code {child.returncode}")
    return Times(elapsed, used.ru_utime + used.ru_stime)


def in_turns(commands: Mapping[str, Sequence[str]], rounds: int, beside: Path | None) -> Result:
    """Time every command in every round, here and in the checkout ``beside``.

    Args:
        commands: by name, the arguments of ``crunchbed``.
        rounds: how often; the order of the checkouts alternates.
        beside: absolute root of another checkout; None measures this one alone.
    """
    places = [("here", ROOT)] if beside is None else [("here", ROOT), ("beside", beside)]
    found: Result = {(name, place): [] for name in commands for place, _ in places}
    for number in range(rounds):
        for name, arguments in commands.items():
            for place, checkout in places if number % 2 else reversed(places):
                found[name, place].append(measure(checkout, arguments))
    return found


@dataclass(frozen=True)
class Timed:
    """A part of the bench that times commands.

    Attributes:
        title: of the table.
        ROUNDS: how many there are by default.
        run: times the commands in so many rounds, here and in another checkout, if there is one.
    """

    title: str
    ROUNDS: int
    run: Callable[[int, Path | None], Result]

    def table(self, found: Result, /) -> Table:
        """A row for each command: seconds here, seconds beside, and the ratio of the medians."""
        shown = Table(title=f"{self.title}, seconds: median (quartiles)")
        for heading in ("crunchbed", "elapsed", "processor", "beside", f"ratio (goal {GOAL})"):
            shown.add_column(heading, justify="left" if heading == "crunchbed" else "right")
        for name in dict.fromkeys(command for command, _ in found):
            here = _spreads(found[name, "here"])
            row = [name, here["elapsed"].shown(2), here["processor"].shown(2)]
            if (name, "beside") in found:
                other = _spreads(found[name, "beside"])["processor"]
                ratio = here["processor"].median / other.median
                row += [other.shown(2), coloured(f"{ratio:.2f}", good=ratio <= GOAL)]
            shown.add_row(*row)
        shown.caption = "beside and ratio: of processor time, which a busy machine changes least"
        return shown

    def as_dict(self, found: Result, /) -> list[dict[str, Any]]:
        """For the JSON file; seconds."""
        return [
            {"command": name, "checkout": place, **_spreads(times)}
            for (name, place), times in found.items()
        ]


def _spreads(times: Sequence[Times]) -> dict[str, Spread]:
    return {
        "elapsed": Spread.of([one.elapsed for one in times]),
        "processor": Spread.of([one.processor for one in times]),
    }
