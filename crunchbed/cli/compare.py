"""``crunchbed compare``: policies held against each other, or crossed with something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from crunchbed.checks.result import Result
from crunchbed.cli.beside import draw_runs, recording
from crunchbed.cli.names import compared, names_of, seed_range
from crunchbed.cli.options import BACKEND, Options, policies_option, takes
from crunchbed.cli.output import beside_the_verdict, print_json
from crunchbed.cli.report import REPORT, name_report, written
from crunchbed.experiments import matrix
from crunchbed.experiments.attempts import attempt_each, attempt_variants
from crunchbed.experiments.comparison import compare as compare_runs
from crunchbed.report.junit import cases_of_comparison, write_junit
from crunchbed.report.table import open_console, print_comparison, print_matrix
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.shed import MODES as SHED_MODES
from reserve_agent.errors import BadInput, RunInvalid
from reserve_agent.files import write_json

_FLAG_SETTINGS: Final = tuple(matrix.SETTINGS)

if TYPE_CHECKING:
    from crunchbed.prometheus.scraper import Scraper


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs to make: the scenario under every policy on every seed."""

    scenario: Scenario
    policies: Sequence[str]
    seeds: range  # every policy gets the same ones
    parent: Path  # directory that each run makes one in


@dataclass(frozen=True, slots=True)
class Crossing:
    """What the policies are crossed with."""

    axis: matrix.Axis
    settings: Mapping[str, Mapping[str, Any]]  # each with its changes, by dotted key


@click.command()
@click.argument("scenario")
@policies_option
@click.option(
    "--memalloc",
    metavar="F,F",
    help=f"Flag setting of all runs, out of {', '.join(_FLAG_SETTINGS)}; several are crossed with "
    "the policies.",
)
@click.option(
    "--detectors",
    metavar="D,D",
    help=f"Cross the policies with failure detectors, out of {', '.join(matrix.DETECTORS)}.",
)
@click.option(
    "--shed",
    metavar="S,S",
    help="Cross the policies with what the switches do for a node under pressure, "
    f"out of {', '.join(SHED_MODES)}; all with an OpenFlow controller.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Runs of each policy, on consecutive seeds; every policy gets the same ones.",
)
@click.option("--seeds", metavar="A..B", help="Seeds of the runs, instead of --seed and --repeats.")
@takes(
    *("seed", "overrides", *BACKEND),
    *("out", "png", "junit", "prometheus", "quiet", "as_json"),
)
def compare(
    options: Options,
    scenario: str,
    policies: str | None,
    memalloc: str | None,
    detectors: str | None,
    shed: str | None,
    repeats: int,
    seeds: str | None,
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
    numbers = seed_range(seeds, options.seed, repeats)
    chosen, crossing = crossed(options.scenario(scenario), memalloc, detectors, shed)
    names = compared(chosen, policies)
    what = "compare" if crossing is None else "matrix"
    if crossing is not None and options.junit is not None:
        raise BadInput("--junit: expected one flag setting and one detector with it")
    parent = options.directory(f"{chosen.name}-{what}-{numbers[0]}")
    runs = Runs(chosen, names, numbers, parent)
    return _compare(runs, options) if crossing is None else _cross(runs, crossing, options)


def crossed(
    scenario: Scenario, memalloc: str | None, detectors: str | None, shed: str | None
) -> tuple[Scenario, Crossing | None]:
    """Return the scenario to run, and what the policies are crossed with, if with anything.

    One flag setting or one way to shed is no crossing: it is set in the scenario that is returned.
    BadInput: a name is unknown, or more than one option has several.
    """
    sheds = [] if shed is None else names_of(shed, SHED_MODES, "way to shed")
    if len(sheds) == 1:
        scenario = scenario.with_overrides(matrix.shed_of(sheds[0]))
    settings = [] if memalloc is None else names_of(memalloc, _FLAG_SETTINGS, "flag setting")
    if len(settings) == 1:
        scenario = scenario.with_overrides(matrix.flags_of(settings[0]))
    if len(sheds) > 1:
        if len(settings) > 1 or detectors is not None:
            raise BadInput("--shed: expected one way to shed with --memalloc or --detectors")
        return scenario, Crossing(matrix.BY_SHED, {name: matrix.shed_of(name) for name in sheds})
    if detectors is not None:
        if len(settings) > 1:
            raise BadInput("--detectors: expected one flag setting with it, got --memalloc of more")
        names = names_of(detectors, matrix.DETECTORS, "detector")
        return scenario, Crossing(
            matrix.BY_DETECTOR, {name: matrix.detector_of(scenario, name) for name in names}
        )
    if len(settings) > 1:
        return scenario, Crossing(matrix.FLAGS, {name: matrix.flags_of(name) for name in settings})
    return scenario, None


def _compare(runs: Runs, options: Options) -> int:
    """Make the runs, hold them against each other and print that; returns the exit code."""
    with recording(options.prometheus, runs.scenario, runs.parent / "prometheus") as scraper:
        made = attempt_each(
            runs.scenario, runs.policies, runs.seeds, runs.parent, scraper, quiet=options.quiet
        )
    comparison = compare_runs(runs.scenario, [result for result, _ in made])
    record = {**comparison.model_dump(mode="json"), "exit_code": comparison.exit_code}
    _write(record, runs.parent / "comparison.json")
    page = written(runs.parent)
    if options.as_json:
        print_json(record)
    else:
        print_comparison(open_console(), comparison, runs.scenario)
        click.echo(f"run directories: {runs.parent}")
        name_report(page)
    with beside_the_verdict(options.junit):
        write_junit(options.junit, runs.scenario.name, cases_of_comparison(comparison))
    first = made[: len(runs.policies)]
    with beside_the_verdict(options.png):
        draw_runs(options.png, runs.scenario, runs.seeds[0], first, quiet=options.as_json)
    return comparison.exit_code


def _write(record: object, path: Path) -> None:
    """Write down what was measured; where that fails, say so: the exit code is the runs'."""
    with beside_the_verdict(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)


def _cross(runs: Runs, crossing: Crossing, options: Options) -> int:
    """Make the runs of all combinations and print them; 3 where a run of one says nothing."""
    with recording(options.prometheus, runs.scenario, runs.parent / "prometheus") as scraper:
        cells = _combinations(runs, crossing, scraper, quiet=options.quiet)
    record = [one.model_dump(mode="json") for one in cells]
    _write(record, runs.parent / "matrix.json")
    written(runs.parent)
    if options.as_json:
        print_json(record)
    else:
        title = f"{runs.scenario.name}: {cells[0].runs} seeds"
        print_matrix(open_console(), cells, crossing.axis, title)
        click.echo(f"run directories: {runs.parent}")
        name_report(runs.parent / REPORT)
    return 0 if all(one.valid == one.runs for one in cells) else RunInvalid.exit_code


def _combinations(
    runs: Runs, crossing: Crossing, scraper: Scraper | None, *, quiet: bool
) -> list[matrix.Cell]:
    """Run every policy with every setting on every seed; BadInput, before any run, for a wrong one.

    What the scenario expects holds for its own setting alone, and is left out.
    """
    pairs = {
        f"{policy}-{setting}": (policy, setting)
        for setting in crossing.settings
        for policy in runs.policies
    }
    variants = {
        name: runs.scenario.with_overrides(
            {"policy": policy, **crossing.settings[setting], "expect": []}
        )
        for name, (policy, setting) in pairs.items()
    }
    results: dict[str, list[Result]] = {}
    for name, result, _ in attempt_variants(
        variants, runs.seeds, runs.parent, scraper, quiet=quiet
    ):
        results.setdefault(name, []).append(result)
    return [matrix.cell(crossing.axis, *pairs[name], made) for name, made in results.items()]
