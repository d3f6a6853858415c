"""What ``--png`` draws."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from crunchbed.checks.result import Result
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import CrunchbedError


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
