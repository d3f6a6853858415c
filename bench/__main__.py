"""``python -m bench [WHAT ...]``: the tables, and the same figures in a JSON file."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any, Final, Protocol

import click
import orjson
from rich.console import Console
from rich.table import Table

from bench import block, commands, doses, hooks, scrape, shaped, simulated, starts, swim
from bench.timed import Timed, argv
from reserve_agent.errors import CrunchbedError

WIDTH = 150  # of a table, wherever the output goes


class Part(Protocol):
    """A module with one measurement."""

    ROUNDS: int

    def run(self, rounds: int, /) -> Any:
        """Measure, in so many rounds."""

    def table(self, found: Any, /) -> Table:
        """The result for people."""

    def as_dict(self, found: Any, /) -> Any:
        """The result for the JSON file."""


PARTS: Final[dict[str, Part | Timed]] = {
    "hooks": hooks,
    "block": block,
    "shaped": shaped,
    "starts": starts,
    "scrape": scrape,
    "commands": commands.STARTS,
    "history": commands.HISTORY,
    "swim": swim,
    "simulated": simulated,
    "doses": doses,
}


@click.command()
@click.argument("what", nargs=-1, type=click.Choice(list(PARTS)), metavar="[WHAT ...]")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of each part.")
@click.option(
    "--beside",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    help="Another checkout, to be measured in turns with this one by `commands` and `history`. "
    "Its own .venv runs it.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("build/bench.json"),
    show_default=True,
    help="File for the figures as JSON.",
)
def main(what: tuple[str, ...], rounds: int | None, beside: Path | None, output: Path) -> None:
    """Measure this checkout on this machine; all parts, or only those that WHAT names.

    \b
    hooks     what the hooks cost a packet
    block     what the hooks cost block I/O, beside NFQUEUE
    shaped    the same over a shaped link, with latency
    starts    how long a cluster's network takes to start and stop
    scrape    what it costs that a Prometheus scrapes 32 nodes every second
    commands  how long the command line takes to start
    history   how long judging and reporting a run of a million events takes
    swim      what SWIM costs a node in a period, by the number of nodes
    simulated what whole simulated runs of 100 to 10,000 nodes cost
    doses     how long 600 simulated runs of dose-response take

    The first five need root. A missed goal is shown in red, and is no failure. Use a quiet machine.
    """  # noqa: D301 - \b is click's
    console = Console(width=WIDTH)
    found: dict[str, Any] = {"kernel": platform.release(), "machine": _processor()}
    try:
        if beside is not None:
            argv(beside)  # a missing environment is told before anything is measured
        for name in what or PARTS:
            found[name] = _measure(name, rounds, beside, console)
    except CrunchbedError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    console.print(f"figures: {output}")


def _measure(name: str, rounds: int | None, beside: Path | None, console: Console) -> Any:
    """Measure one part, print its table, and return it for the JSON file."""
    part = PARTS[name]
    times = rounds or part.ROUNDS
    result = part.run(times, beside) if isinstance(part, Timed) else part.run(times)
    console.print(part.table(result))
    return part.as_dict(result)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
