"""What ``--prometheus`` starts: a Prometheus beside the runs of one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from crunchbed.prometheus.scraper import Scraper


@contextmanager
def recording(wanted: bool, directory: Path | None = None) -> Iterator[Scraper | None]:
    """Keep a Prometheus for as long as this lasts, where one is ``wanted``; else yield None.

    Args:
        wanted: what the option says.
        directory: for its data; in the first run's directory when left out.

    Raises:
        MissingRequirement: Prometheus is not installed.
    """
    if not wanted:
        yield None
        return
    from crunchbed.host.requirements import require, requirement
    from crunchbed.prometheus.scraper import Scraper

    require([requirement("prometheus")])
    with Scraper(directory, lambda text: click.echo(text, err=True)) as scraper:
        yield scraper
