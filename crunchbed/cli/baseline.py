"""``crunchbed baseline`` and ``crunchbed regress``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from crunchbed.archive.rejudge import rejudge_all
from crunchbed.checks.result import Result
from crunchbed.cli.names import compared
from crunchbed.cli.options import BACKEND, Options, policies_option, takes
from crunchbed.cli.output import DIRECTORY, beside_the_verdict, json_option, print_json
from crunchbed.experiments import baseline as baselines
from crunchbed.experiments.attempts import attempt_each
from crunchbed.experiments.baseline import Baseline
from crunchbed.experiments.regress import Outcome
from crunchbed.experiments.regress import regress as held_against
from crunchbed.experiments.stats.interval import LEAST
from crunchbed.experiments.stats.worse import TOLERANCE
from crunchbed.report.junit import write_junit
from crunchbed.report.regression import cases_of, print_outcome
from crunchbed.report.table import open_console
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

_directory = click.option(
    "--baselines",
    "directory",
    type=DIRECTORY,
    default=baselines.DIRECTORY,
    show_default=True,
    help="Directory that they are kept in, one file each.",
)
_from = click.option(
    "--from",
    "source",
    type=DIRECTORY,
    metavar="DIR",
    help="Runs that `crunchbed compare` made, instead of new ones; judged by today's checks.",
)


@click.group()
def baseline() -> None:
    """Keep what a scenario comes to today, for `crunchbed regress` to hold later runs against.

    \b
    Examples:
      crunchbed baseline save nightly writeback-crunch
      crunchbed baseline save nightly --from runs/20260101T000000-writeback-crunch-compare-1-ab12
      crunchbed baseline list
    """  # noqa: D301 - \b is click's


@baseline.command()
@click.argument("name")
@click.argument("scenario", required=False)
@_directory
@_from
@policies_option
@click.option(
    "--repeats", type=click.IntRange(LEAST, 1000), default=10, show_default=True, help="Seeds."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1001), default=1, show_default=True, help="The first."
)
@click.option("--replace", is_flag=True, help="Replace a baseline of that name.")
@takes("overrides", *BACKEND, "out")
def save(
    options: Options,
    name: str,
    scenario: str | None,
    directory: Path,
    source: Path | None,
    policies: str | None,
    repeats: int,
    seed: int,
    replace: bool,
) -> None:
    """Run SCENARIO under several policies on several seeds, and keep the results as NAME.

    \b
    Examples:
      crunchbed baseline save nightly writeback-crunch
      crunchbed baseline save disk writeback-crunch --policies memalloc --repeats 20
      crunchbed baseline save nightly --from runs/last-night --replace
    """  # noqa: D301 - \b is click's
    if baselines.checked_name(name) in baselines.names(directory) and not replace:
        raise BadInput(f"baseline {name}: is there already; --replace replaces it")
    if (scenario is None) == (source is None):
        raise BadInput("expected a SCENARIO to run, or --from DIR with runs of one")
    if source is not None:
        chosen, runs = rejudge_all(source)
    else:
        chosen = options.scenario(str(scenario))
        listed = compared(chosen, policies)
        parent = options.directory(f"{chosen.name}-baseline-{seed}")
        runs = _made(chosen, listed, range(seed, seed + repeats), parent)
    kept = Baseline.of(name, chosen, runs, datetime.now(UTC))
    click.echo(f"baseline {name}: {kept.write(directory)}")


@baseline.command("list")
@_directory
@json_option
def list_baselines(directory: Path, as_json: bool) -> None:
    """List the baselines with their scenarios."""
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "scenario": one.scenario.get("name"),
            "policies": one.policies,
            "seeds": len(one.seeds),
            "made": one.made,
        }
        for one in (baselines.read(name, directory) for name in baselines.names(directory))
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        policies = ",".join(row["policies"])
        click.echo("{name}  {scenario}  {0}  {seeds} seeds  {made}".format(policies, **row))
    if not rows:
        click.echo(f"no baselines in {directory}")


@click.command()
@click.argument("name")
@_directory
@_from
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 100),
    default=TOLERANCE,
    show_default=True,
    help="Share of the baseline's figure that it may get worse by.",
)
@click.option("--once", is_flag=True, help="Do not confirm a regression by a second set of runs.")
@takes("out", "junit", "as_json")
def regress(
    options: Options,
    name: str,
    directory: Path,
    source: Path | None,
    tolerance: float,
    once: bool,
) -> int:
    """Run the scenario of the baseline NAME again on the same seeds: has anything got worse?

    A figure is worse only where the whole bootstrap interval of its difference, paired by seed, is
    beyond what is allowed: its tolerance, and the spread of the baseline itself. What got worse
    must do so in a second set of runs too. Exit code 1 then, and 0 where nothing did.

    \b
    Examples:
      crunchbed regress nightly
      crunchbed regress nightly --junit regress.xml --tolerance 0.5
      crunchbed regress nightly --from runs/tonight
    """  # noqa: D301 - \b is click's
    kept = baselines.read(name, directory)
    scenario = kept.read_scenario()
    if source is not None:
        found, runs = rejudge_all(source)
        if found.resolved() != {**scenario.resolved(), "policy": found.policy}:
            raise BadInput(f"{source}: expected runs of the baseline's scenario, {scenario.name}")
        outcome = held_against(kept, runs, tolerance=tolerance)
    else:
        parent = options.directory(f"{scenario.name}-regress-{kept.seeds[0]}")
        runs = _made(scenario, kept.policies, kept.seeds, parent / "first")

        def again(policies: Sequence[str]) -> Sequence[Result]:
            return _made(scenario, policies, kept.seeds, parent / "second")

        outcome = held_against(kept, runs, tolerance=tolerance, again=None if once else again)
    _show(outcome, options)
    return outcome.exit_code


def _made(
    scenario: Scenario, policies: Sequence[str], seeds: Sequence[int], parent: Path
) -> list[Result]:
    return [result for result, _ in attempt_each(scenario, policies, seeds, parent)]


def _show(outcome: Outcome, options: Options) -> None:
    if options.as_json:
        print_json({**outcome.model_dump(mode="json"), "exit_code": outcome.exit_code})
    else:
        print_outcome(open_console(), outcome)
    with beside_the_verdict(options.junit):
        write_junit(options.junit, f"regress {outcome.baseline}", cases_of(outcome))
