"""``python -m bench``: the tables, and the same figures in a JSON file."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from bench import block, hooks, scrape, starts
from reserve_agent.errors import CrunchbedError

WIDTH = 150  # of a table, wherever the output goes


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds of each part.")
@click.option(
    "--only", type=click.Choice(["hooks", "block", "starts", "scrape"]), help="One part alone."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("build/bench.json"),
    show_default=True,
    help="File for the figures as JSON.",
)
def main(rounds: int | None, only: str | None, output: Path) -> None:
    """What the hooks cost a packet and block I/O; how long a cluster's network takes to start.

    And what it costs that a Prometheus scrapes 32 nodes every second.

    Needs root and a quiet machine. A goal missed is shown in red and is no failure.
    """
    try:
        _measure(rounds, only, output)
    except CrunchbedError as error:
        raise click.ClickException(str(error)) from error


def _measure(rounds: int | None, only: str | None, output: Path) -> None:
    console = Console(width=WIDTH)
    found: dict[str, Any] = {"kernel": platform.release(), "machine": _processor()}
    if only in (None, "hooks"):
        cells, parts = hooks.run(rounds or hooks.ROUNDS)
        console.print(hooks.table(cells, parts))
        found["hooks"] = hooks.as_dict(cells, parts)
    if only in (None, "block"):
        writes = block.run(rounds or block.ROUNDS)
        console.print(block.table(writes))
        found["block"] = block.as_dict(writes)
    if only in (None, "starts"):
        times = starts.run(rounds or starts.ROUNDS)
        console.print(starts.table(times))
        found["starts"] = starts.as_dict(times)
    if only in (None, "scrape"):
        scrapes = scrape.run(rounds or scrape.ROUNDS)
        console.print(scrape.table(scrapes))
        found["scrape"] = scrape.as_dict(scrapes)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    console.print(f"figures: {output}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
