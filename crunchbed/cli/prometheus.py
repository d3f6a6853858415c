"""``--prometheus``: a Prometheus beside the runs of one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from crunchbed.host.requirements import require, requirement
from crunchbed.prometheus.scraper import Scraper


def prometheus_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--prometheus``."""
    return click.option(
        "--prometheus",
        is_flag=True,
        help="Record the metrics with a Prometheus of its own, beside the run, every second; "
        "its data stay in the directory. The control phase waits until it sees all nodes.",
    )(command)


@contextmanager
def recording(wanted: bool, directory: Path | None = None) -> Iterator[Scraper | None]:
    """A Prometheus for as long as this lasts, or None where nobody wants one.

    Args:
        wanted: What the option says.
        directory: For its data; in the first run's directory when left out.

    Raises:
        MissingRequirement: It is not installed.
    """
    if not wanted:
        yield None
        return
    require([requirement("prometheus")])
    with Scraper(directory, lambda text: click.echo(text, err=True)) as scraper:
        yield scraper
