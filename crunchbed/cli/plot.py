"""``crunchbed plot``: a sweep as a picture and as a table for other programs."""

from __future__ import annotations

import csv
from pathlib import Path

import click

from crunchbed.checks.figures import NAMES
from crunchbed.cli.output import DIRECTORY, FILE
from crunchbed.experiments.sweep.folder import SweepFolder, asked_order, runs_of
from crunchbed.report.heat_map import Layout, draw
from crunchbed.scenario.kinds import did_you_mean
from reserve_agent.errors import BadInput, CrunchbedError


@click.command()
@click.argument("sweep", type=DIRECTORY)
@click.option("--x", required=True, metavar="KEY", help="To the right.")
@click.option("--y", required=True, metavar="KEY", help="Upwards.")
@click.option("--panel", metavar="KEY", help="A panel for each value, side by side.")
@click.option("--row", metavar="KEY", help="A row of panels for each value.")
@click.option("--figure", default="false_ejections", show_default=True, help="Counted if above 0.")
@click.option(
    "--out",
    type=FILE,
    default=Path("sweep.png"),
    show_default=True,
    help="Picture: .png, .svg or .pdf.",
)
@click.option("--csv", "table", type=FILE, help="Also write every run's values and the figure.")
def plot(
    sweep: Path,
    x: str,
    y: str,
    panel: str | None,
    row: str | None,
    figure: str,
    out: Path,
    table: Path | None,
) -> None:
    """Draw SWEEP, a sweep's directory: in how many runs was FIGURE above 0?

    \b
    Example:
      crunchbed plot runs/20261124T031500-dose-response-sweep-1f2e --x crunch.length \\
          --y crunch.depth --panel policy --row memory.reserve --out dose.png --csv dose.csv
    """  # noqa: D301 - \b is click's
    if figure not in NAMES:
        hint = did_you_mean(figure, NAMES)
        raise BadInput(f"--figure: unknown figure {figure!r}{hint}")
    folder, runs = SweepFolder.open(sweep), runs_of(sweep)
    name = folder.asked["scenario"].get("name", "sweep")
    draw(runs, Layout(x, y, panel, row, asked_order(folder.asked)), figure, name, out)
    click.echo(f"picture: {out}")
    keys = list(dict.fromkeys(key for point, _ in runs for key in point))
    if together := [key for key in keys if key not in (x, y, panel, row)]:
        click.echo(f"counted together: runs with any {', '.join(together)}", err=True)
    if table is None:
        return
    try:
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*keys, "seed", "verdict", figure])
            for point, result in runs:
                fields = [point.get(key, "") for key in keys]
                writer.writerow([*fields, result.seed, result.verdict, result.totals.value(figure)])
    except OSError as error:
        raise CrunchbedError(f"{table}: cannot be written: {error.strerror}") from error
    click.echo(f"table: {table}")
