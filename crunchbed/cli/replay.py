"""``crunchbed replay-metrics``: loads the metrics of runs that are over into a Prometheus."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from crunchbed.cli.output import DIRECTORY, print_json
from crunchbed.host.requirements import require, requirement
from crunchbed.prometheus import blocks
from crunchbed.prometheus.openmetrics import Timeline
from crunchbed.prometheus.server import Prometheus, command, empty_config
from crunchbed.scenario.units import duration_ns
from reserve_agent.errors import BadInput

_LEAST_NS = 1_000_000


@click.command("replay-metrics")
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    metavar="RUN...",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
@click.option(
    "--out",
    type=DIRECTORY,
    help="Directory to make for Prometheus; replay in the first RUN by default.",
)
@click.option(
    "--interval",
    default="1s",
    show_default=True,
    metavar="TIME",
    help="From one scrape to the next, such as 100ms.",
)
@click.option("--openmetrics", is_flag=True, help="Print one run's OpenMetrics; make no blocks.")
@click.option("--serve", is_flag=True, help="Start a Prometheus on it, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON on stdout.")
def replay_metrics(
    runs: Sequence[Path],
    out: Path | None,
    interval: str,
    openmetrics: bool,
    serve: bool,
    as_json: bool,
) -> None:
    """Make the metrics of runs again from their history, and load them into a Prometheus.

    RUN is the directory of a run, or of a comparison: then all of its runs. The metrics have the
    times of the run, so set the time range of a dashboard to it.

    \b
    Examples:
      crunchbed replay-metrics runs/20261124T033000-writeback-crunch-none-1-k3xq
      crunchbed replay-metrics runs/*-compare-1 --out /tmp/compared --serve
      crunchbed replay-metrics RUN --interval 100ms
                                          finer than a live Prometheus scrapes
      crunchbed replay-metrics RUN --openmetrics > run.om
    """  # noqa: D301 - \b is click's
    step = _step(interval)
    found = blocks.find_runs(runs)
    if openmetrics:
        if len(found) != 1:
            raise BadInput(f"--openmetrics: expected one run, got {len(found)}")
        sys.stdout.writelines(blocks.timeline_of(found[0], step).text())
        return
    require(map(requirement, ("promtool", *(("prometheus",) if serve else ()))))
    directory = (out or runs[0] / "replay").absolute()
    if directory.exists() and any(directory.iterdir()):
        raise BadInput(f"{directory}: is not empty; give another directory with --out")
    made = list(blocks.write((blocks.timeline_of(run, step) for run in found), directory))
    _tell(found, made, directory, as_json=as_json)
    if serve:
        _serve(directory)


def _step(interval: str) -> int:
    try:
        step = duration_ns(interval)
    except ValueError as error:
        raise BadInput(f"--interval: {error}") from None
    if step < _LEAST_NS:
        raise BadInput(f"--interval: expected at least 1ms, got {interval}")
    return step


def _tell(found: list[blocks.Run], made: list[Timeline], directory: Path, *, as_json: bool) -> None:
    rows = [
        {
            "run": run.id,
            "directory": str(run.directory),
            "samples": one.samples,
            "series": one.series,
        }
        for run, one in zip(found, made, strict=True)
    ]
    start = command(directory, "127.0.0.1:9090")
    if as_json:
        print_json({"runs": rows, "directory": str(directory), "command": start})
        return
    for row in rows:
        click.echo(f"run {row['run']}: {row['samples']} samples of {row['series']} series")
    click.echo(f"to look at them: {shlex.join(start)}")


def _serve(directory: Path) -> None:
    server = Prometheus(directory, empty_config())
    try:
        click.echo(f"prometheus: {server.url} until Ctrl-C", err=True)
        signal.pause()
    finally:
        server.close()
