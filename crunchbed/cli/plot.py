"""``crunchbed plot``: a sweep as a picture and as a table for other programs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import click

from crunchbed.checks.figures import NAMES
from crunchbed.cli.output import DIRECTORY, FILE
from crunchbed.experiments.sweep.folder import Run, SweepFolder, asked_order, runs_of
from crunchbed.report.heat_map import Layout, draw
from crunchbed.scenario.kinds import did_you_mean
from reserve_agent.errors import BadInput, CrunchbedError


@click.command()
@click.argument("sweeps", metavar="SWEEP...", type=DIRECTORY, nargs=-1, required=True)
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
@click.option("--columns", metavar="F,F", default="", help="Further figures of that table.")
def plot(
    sweeps: tuple[Path, ...],
    x: str,
    y: str,
    panel: str | None,
    row: str | None,
    figure: str,
    out: Path,
    table: Path | None,
    columns: str,
) -> None:
    """Draw SWEEP, a sweep's directory, or several as one: in how many runs was FIGURE above 0?

    \b
    Example:
      crunchbed plot runs/20261124T031500-dose-response-sweep-1f2e --x crunch.length \\
          --y crunch.depth --panel policy --row memory.reserve --out dose.png --csv dose.csv
    """  # noqa: D301 - \b is click's
    figures = _known(figure, columns)
    folders = [SweepFolder.open(one) for one in sweeps]
    runs = [run for one in sweeps for run in runs_of(one)]
    name = folders[0].asked["scenario"].get("name", "sweep")
    asked = {
        key: order for one in reversed(folders) for key, order in asked_order(one.asked).items()
    }
    draw(runs, Layout(x, y, panel, row, asked), figure, name, out)
    click.echo(f"picture: {out}")
    if again := _again(runs):
        click.echo(f"counted twice or more: {again} runs with the same values and seed", err=True)
    keys = list(dict.fromkeys(key for point, _ in runs for key in point))
    if together := [key for key in keys if key not in (x, y, panel, row)]:
        click.echo(f"counted together: runs with any {', '.join(together)}", err=True)
    if table is not None:
        _write_table(table, runs, keys, figures)


def _again(runs: Sequence[Run]) -> int:
    """Return how many runs have the values and the seed of one before them."""
    return len(runs) - len({(*sorted(point.items()), result.seed) for point, result in runs})


def _write_table(
    table: Path, runs: Sequence[Run], keys: Sequence[str], figures: Sequence[str]
) -> None:
    """Write every run's values and figures, a line each; CrunchbedError where it cannot be."""
    try:
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*keys, "seed", "verdict", *figures])
            for point, result in runs:
                fields = [point.get(key, "") for key in keys]
                values = [result.totals.value(one) for one in figures]
                writer.writerow([*fields, result.seed, result.verdict, *values])
    except OSError as error:
        raise CrunchbedError(f"{table}: cannot be written: {error.strerror}") from error
    click.echo(f"table: {table}")


def _known(figure: str, columns: str) -> list[str]:
    """Return the figure of the picture and those of ``--columns``; BadInput for an unknown one."""
    further = [name.strip() for name in columns.split(",") if name.strip()]
    for option, name in (("--figure", figure), *(("--columns", name) for name in further)):
        if name not in NAMES:
            raise BadInput(f"{option}: unknown figure {name!r}{did_you_mean(name, NAMES)}")
    return [figure, *further]
