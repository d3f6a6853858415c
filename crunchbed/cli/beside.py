"""What commands make beside their runs: a Prometheus for `--prometheus`, a picture for `--png`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crunchbed.checks.result import Result
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, CrunchbedError

if TYPE_CHECKING:
    from crunchbed.prometheus.scraper import Scraper


@contextmanager
def recording(
    wanted: bool, scenario: Scenario, directory: Path | None = None
) -> Iterator[Scraper | None]:
    """Keep a Prometheus for as long as this lasts, where one is ``wanted``; else yield None.

    Its data go to ``directory``, by default into the first run's. MissingRequirement without it;
    BadInput for simulated runs.
    """
    if not wanted:
        yield None
        return
    if scenario.cluster.backend == "simulation":
        raise BadInput(
            "--prometheus: nobody can scrape a simulated run, which is over in a moment; "
            "`crunchbed replay-metrics RUN` makes its metrics"
        )
    from crunchbed.host.requirements import require, requirement
    from crunchbed.prometheus.scraper import Scraper

    require([requirement("prometheus")])
    with Scraper(directory, lambda text: click.echo(text, err=True)) as scraper:
        yield scraper


def draw_runs(
    png: Path | None,
    scenario: Scenario,
    seed: int,
    runs: Iterable[tuple[Result, Path]],
    *,
    quiet: bool,
) -> None:
    """Draw these runs, where there is a ``png``; a run without a history is left out."""
    if png is None:
        return
    from crunchbed.history.history import History
    from crunchbed.report.timeline_picture import Row, draw

    rows = [
        Row(
            result.policy if result.valid else f"{result.policy} ({result.verdict})",
            History.read(directory / "history.jsonl"),
        )
        for result, directory in runs
        if (directory / "history.jsonl").exists()
    ]
    if not rows:
        raise CrunchbedError(f"{png}: not drawn: no run left a history")
    draw(rows, f"{scenario.name}, seed {seed}", png)
    if not quiet:
        click.echo(f"picture: {png}")
