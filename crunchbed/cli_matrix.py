"""The part of ``crunchbed compare`` that crosses policies with flag settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import orjson

from crunchbed.attempts import attempt
from crunchbed.checks.result import Result
from crunchbed.matrix import SETTINGS, Cell, cell
from crunchbed.report.matrix import print_matrix
from crunchbed.report.table import open_console
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import RunInvalid


def run_matrix(
    scenario: Scenario,
    policies: Sequence[str],
    settings: Sequence[str],
    seeds: Iterable[int],
    parent: Path,
) -> list[Cell]:
    """Run every policy with every flag setting on every seed; write ``matrix.json``."""
    results: dict[tuple[str, str], list[Result]] = {}
    for seed in seeds:
        for setting in settings:
            for policy in policies:
                # What a scenario expects holds for its own flags.
                flags = list(SETTINGS[setting])
                variant = scenario.with_overrides(
                    {"policy": policy, "memalloc": flags, "expect": []}
                )
                result, _ = attempt(variant, seed, parent / f"{policy}-{setting}-{seed}")
                results.setdefault((policy, setting), []).append(result)
    cells = [cell(policy, setting, runs) for (policy, setting), runs in results.items()]
    parent.mkdir(parents=True, exist_ok=True)
    record = [one.model_dump(mode="json") for one in cells]
    (parent / "matrix.json").write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    return cells


def show_matrix(cells: Sequence[Cell], name: str, parent: Path, *, as_json: bool) -> int:
    """Print it; returns the exit code: 3 where a combination has a run that says nothing."""
    if as_json:
        record = [one.model_dump(mode="json") for one in cells]
        click.echo(orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())
    else:
        print_matrix(open_console(), cells, f"{name}: {cells[0].runs} seeds")
        click.echo(f"run directories: {parent}")
    return 0 if all(one.valid == one.runs for one in cells) else RunInvalid.exit_code
