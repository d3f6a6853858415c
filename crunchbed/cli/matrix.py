"""The part of ``crunchbed compare`` that crosses policies with flag settings or detectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from crunchbed.checks.result import Result
from crunchbed.cli.report import REPORT, name_report, written
from crunchbed.experiments.attempts import attempt_variants
from crunchbed.experiments.matrix import Axis, Cell, cell
from crunchbed.prometheus.scraper import Scraper
from crunchbed.report.table import open_console, print_matrix
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import RunInvalid


def run_matrix(
    scenario: Scenario,
    policies: Sequence[str],
    axis: Axis,
    settings: Mapping[str, Mapping[str, Any]],
    seeds: Iterable[int],
    parent: Path,
    scraper: Scraper | None = None,
    *,
    quiet: bool = False,
) -> list[Cell]:
    """Run every policy with every setting on every seed; write ``matrix.json``.

    Args:
        scenario: What they are settings of; what it expects holds for its own alone.
        policies: Names of policies.
        axis: What ``settings`` are settings of.
        settings: What each changes in the scenario, by dotted key.
        seeds: Of the runs.
        parent: Directory that each run makes one in.
        scraper: Records the runs' metrics.
        quiet: Say nothing of their progress.

    Raises:
        BadInput: A setting does not go with the scenario; nothing was run.
    """
    pairs = {
        f"{policy}-{setting}": (policy, setting) for setting in settings for policy in policies
    }
    variants = {
        name: scenario.with_overrides({"policy": policy, **settings[setting], "expect": []})
        for name, (policy, setting) in pairs.items()
    }
    results: dict[str, list[Result]] = {}
    for name, result, _ in attempt_variants(variants, seeds, parent, scraper, quiet=quiet):
        results.setdefault(name, []).append(result)
    cells = [cell(axis, *pairs[name], runs) for name, runs in results.items()]
    parent.mkdir(parents=True, exist_ok=True)
    record = [one.model_dump(mode="json") for one in cells]
    (parent / "matrix.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    written(parent)
    return cells


def show_matrix(
    cells: Sequence[Cell], axis: Axis, name: str, parent: Path, *, as_json: bool
) -> int:
    """Print it; returns the exit code: 3 where a combination has a run that says nothing."""
    if as_json:
        record = [one.model_dump(mode="json") for one in cells]
        click.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())
    else:
        print_matrix(open_console(), cells, axis, f"{name}: {cells[0].runs} seeds")
        click.echo(f"run directories: {parent}")
        name_report(parent / REPORT)
    return 0 if all(one.valid == one.runs for one in cells) else RunInvalid.exit_code
