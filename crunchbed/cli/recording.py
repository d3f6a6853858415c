"""What ``--prometheus`` starts: a Prometheus beside the runs of one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from crunchbed.host.requirements import require, requirement
from crunchbed.prometheus.scraper import Scraper


@contextmanager
def recording(wanted: bool, directory: Path | None = None) -> Iterator[Scraper | None]:
    """Keep a Prometheus for as long as this lasts, where one is ``wanted``; else yield None.

    Its data go to ``directory``, by default into the first run's. MissingRequirement without it.
    """
    if not wanted:
        yield None
        return
    require([requirement("prometheus")])
    with Scraper(directory, lambda text: click.echo(text, err=True)) as scraper:
        yield scraper
