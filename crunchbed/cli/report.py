"""``crunchbed report``: one HTML file that can be sent to a colleague, and pictures for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from crunchbed.cli.output import DIRECTORY, FILE
from reserve_agent.errors import CrunchbedError

REPORT: Final = "report.html"  # name of a report in the directory of its run or comparison


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="The file to write; report.html in DIRECTORY by default.",
)
@click.option(
    "--png",
    type=DIRECTORY,
    metavar="DIR",
    help="Write the pictures there too: the time line, the latencies, and what runs differ in.",
)
def report(directory: Path, out: Path | None, png: Path | None) -> None:
    """Make the report of the run, or of the comparison, in DIRECTORY.

    Every figure is computed anew from the recorded history: result.json is not read, and an old
    run is judged by the checks of today. The file needs no network and no other file. `crunchbed
    run` and `crunchbed compare` write one by themselves.

    \b
    Examples:
      crunchbed report runs/20261124T030119-writeback-crunch-none-1-83b8
      crunchbed report runs/last-night --out /tmp/last-night.html
      crunchbed report runs/last-night --png paper/pictures
    """  # noqa: D301 - \b is click's
    from crunchbed.report.html import make

    click.echo(f"report: {make.write(directory, out or directory / REPORT)}")
    if png is not None:
        from crunchbed.report.pictures import draw_all

        for path in draw_all(directory, png):
            click.echo(f"picture: {path}")


def written(parent: Path) -> Path | None:
    """Write the report of the runs in ``parent``; where that fails, say so on stderr and go on."""
    from crunchbed.report.html import make

    try:
        return make.write(parent, parent / REPORT)
    except CrunchbedError as error:
        click.echo(f"no report: {error}", err=True)
        return None


def name_report(path: Path | None) -> None:
    """Say where a report is, if it is there."""
    if path is not None and path.exists():
        click.echo(f"report: {path}")
