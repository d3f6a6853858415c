"""``crunchbed run`` and ``crunchbed compare``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import orjson

from crunchbed.checks.result import Result
from crunchbed.cli.matrix import run_matrix, show_matrix
from crunchbed.cli.options import (
    chosen_scenario,
    common,
    compared,
    crossed,
    junit_option,
    policies_option,
    run_directory,
    seed_range,
    with_policies,
)
from crunchbed.cli.prometheus import prometheus_option, recording
from crunchbed.cli.report import REPORT, name_report, written
from crunchbed.experiments.attempts import attempt_each, execute
from crunchbed.experiments.comparison import Comparison
from crunchbed.experiments.comparison import compare as compare_runs
from crunchbed.experiments.matrix import DETECTORS
from crunchbed.history.history import History
from crunchbed.report.junit import cases_of_comparison, cases_of_run, write_junit
from crunchbed.report.table import open_console, print_comparison, print_run
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.shed import MODES as SHED_MODES
from reserve_agent.errors import BadInput, CrunchbedError
from reserve_agent.policies import POLICIES


@click.command()
@common
@junit_option
@prometheus_option
@click.option("--policy", metavar="POLICY", help=f"One of {', '.join(POLICIES)}.")
def run(
    scenario: str,
    memalloc: str | None,
    seed: int,
    out: Path | None,
    png: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    junit: Path | None,
    prometheus: bool,
    quiet: bool,
    policy: str | None,
) -> int:
    """Run SCENARIO once, a shipped name or a YAML file, and judge it.

    \b
    Examples:
      crunchbed run control
      crunchbed run writeback-crunch --policy none --seed 3
      crunchbed run writeback-crunch --memalloc block-io --json > result.json
      crunchbed run long-crunch --set crunch.length=800ms --set crunch.depth=1
      crunchbed run writeback-crunch --prometheus
                                          and record its metrics; says where to look
    """  # noqa: D301 - \b is click's
    chosen = chosen_scenario(scenario, overrides, memalloc)
    if policy is not None:
        if "," in policy:
            raise BadInput(f"--policy: expected one, got {policy}; several: crunchbed compare")
        chosen = with_policies(chosen, policy)[0]
    directory = run_directory(out, f"{chosen.name}-{chosen.policy}-{seed}")
    with recording(prometheus) as scraper:
        result = execute(chosen, seed, directory, scraper, quiet=quiet)
    if as_json:
        _print_json(result.model_dump(mode="json"))
    else:
        print_run(open_console(), result, chosen)
        click.echo(f"run directory: {directory}")
        name_report(directory / REPORT)
    if junit is not None:
        write_junit(junit, chosen.name, cases_of_run(result))
    _draw(png, chosen, seed, [(result, directory)], quiet=as_json)
    return result.exit_code


@click.command()
@common
@junit_option
@prometheus_option
@policies_option
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Runs of each policy, on consecutive seeds; every policy gets the same ones.",
)
@click.option(
    "--seeds",
    metavar="A..B",
    help="Seeds of the runs, instead of --seed and --repeats.",
)
@click.option(
    "--detectors",
    metavar="D,D",
    help=f"Cross the policies with failure detectors, out of {', '.join(DETECTORS)}.",
)
@click.option(
    "--shed",
    metavar="S,S",
    help="Cross the policies with what the switches do for a node under pressure, "
    f"out of {', '.join(SHED_MODES)}; all with an OpenFlow controller.",
)
def compare(
    scenario: str,
    memalloc: str | None,
    seed: int,
    out: Path | None,
    png: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
    junit: Path | None,
    prometheus: bool,
    quiet: bool,
    policies: str | None,
    repeats: int,
    seeds: str | None,
    detectors: str | None,
    shed: str | None,
) -> int:
    """Run SCENARIO under several policies and hold the runs against each other.

    \b
    Examples:
      crunchbed compare writeback-crunch
      crunchbed compare writeback-crunch --policies none,memalloc --repeats 10
      crunchbed compare micro-crunch --set crunch.length=5ms --png micro.png
      crunchbed compare writeback-crunch --policies none,softnet,memalloc,mempool,critical \\
          --memalloc none,block-io,heartbeat,both --repeats 5
                                          every policy with every flag setting
      crunchbed compare writeback-crunch --detectors fixed,phi,swim,lifeguard,corosync \\
          --seeds 1..5                    every policy with every detector
      crunchbed compare flood --policies none,memalloc --shed off,drop --seeds 1..5
                                          no policy, host only, switch only, both
    """  # noqa: D301 - \b is click's
    numbers = seed_range(seeds, seed, repeats)
    chosen = chosen_scenario(scenario, overrides, None)
    chosen, crossing = crossed(chosen, memalloc, detectors, shed)
    names = compared(chosen, policies)
    if crossing is not None:
        axis, changes = crossing
        if junit is not None:
            raise BadInput("--junit: expected one flag setting and one detector with it")
        parent = run_directory(out, f"{chosen.name}-matrix-{numbers[0]}")
        with recording(prometheus, parent / "prometheus") as scraper:
            cells = run_matrix(chosen, names, axis, changes, numbers, parent, scraper, quiet=quiet)
        return show_matrix(cells, axis, chosen.name, parent, as_json=as_json)
    parent = run_directory(out, f"{chosen.name}-compare-{numbers[0]}")
    with recording(prometheus, parent / "prometheus") as scraper:
        made = attempt_each(chosen, names, numbers, parent, scraper, quiet=quiet)
    results = [result for result, _ in made]
    comparison = compare_runs(chosen, results)
    record = _record(comparison, parent / "comparison.json")
    page = written(parent)
    if as_json:
        _print_json(record)
    else:
        print_comparison(open_console(), comparison, chosen)
        click.echo(f"run directories: {parent}")
        name_report(page)
    if junit is not None:
        write_junit(junit, chosen.name, cases_of_comparison(comparison))
    _draw(png, chosen, numbers[0], made[: len(names)], quiet=as_json)
    return comparison.exit_code


def _draw(
    png: Path | None,
    scenario: Scenario,
    seed: int,
    runs: Iterable[tuple[Result, Path]],
    *,
    quiet: bool,
) -> None:
    """The picture of these runs, as far as they came; a run without a history is left out."""
    if png is None:
        return
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


def _record(comparison: Comparison, path: Path) -> dict[str, Any]:
    """Write the comparison down, and return what was written."""
    record = {**comparison.model_dump(mode="json"), "exit_code": comparison.exit_code}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise CrunchbedError(f"{path}: cannot be written: {error.strerror}") from error
    return record


def _print_json(value: object) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
