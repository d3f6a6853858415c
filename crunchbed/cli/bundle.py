"""``crunchbed bundle`` and ``crunchbed judge``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crunchbed.archive.bundle import SUFFIX, Manifest, pack, unpack
from crunchbed.checks.figures import NAMES
from crunchbed.checks.result import Result
from crunchbed.cli.options import junit_option
from crunchbed.cli.output import DIRECTORY, FILE, beside_the_verdict, print_json
from crunchbed.host.scratch import scratch
from crunchbed.report.junit import cases_of_run, write_junit
from crunchbed.report.table import open_console, print_run
from crunchbed.run.signals import ended_by_signals
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help=f"The archive; by default the run's name with {SUFFIX}, here.",
)
@click.option("--no-captures", is_flag=True, help="Leave packet captures out.")
def bundle(run: Path, out: Path | None, no_captures: bool) -> None:
    """Pack the directory RUN into one archive that `crunchbed judge` judges anywhere.

    In it: scenario, seed, versions, kernel and its configuration, history, logs, packet captures.
    Secrets of the scenario are replaced. The same run makes the same archive.

    \b
    Examples:
      crunchbed bundle runs/20260101T000000-writeback-crunch-none-1-ab12
      crunchbed bundle runs/last --out incident.crunchbed.tar.gz --no-captures
    """  # noqa: D301 - \b is click's
    if not run.is_dir():
        raise BadInput(f"{run}: expected a run directory, such as `crunchbed run` makes")
    target = out or Path(f"{run.resolve().name}{SUFFIX}")
    if target.exists():
        raise BadInput(f"{target}: is there already")
    manifest = pack(run, target, captures=not no_captures)
    size = target.stat().st_size
    click.echo(f"{target}: {len(manifest.files)} files, {size} bytes, verdict {manifest.verdict}")


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option(
    "--out", type=DIRECTORY, metavar="DIR", help="Keep the run directory that is in the bundle."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
@junit_option
def judge(source: Path, out: Path | None, as_json: bool, junit: Path | None) -> int:
    """Run today's checks on BUNDLE, or on a run directory; needs neither root nor Mininet.

    Every figure is computed again from the history. What comes out otherwise than it was written
    down then is told. The exit code is that of today's verdict; 2 if the bundle is damaged.

    \b
    Examples:
      crunchbed judge incident.crunchbed.tar.gz
      crunchbed judge incident.crunchbed.tar.gz --out incident --json
      crunchbed judge runs/last
    """  # noqa: D301 - \b is click's
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"--out {out}: expected a new or empty directory")
    from crunchbed.archive.rejudge import rejudge  # brings the checks

    with ended_by_signals(), scratch("judge") as temporary:
        directory, manifest = source, None
        if not source.is_dir():
            directory = out or temporary / "run"
            manifest = unpack(source, directory)
        scenario, result = rejudge(directory)
        old = directory / "result.json"
        recorded = Result.read(old) if old.exists() else None
    _show(scenario, result, recorded, manifest, as_json=as_json)
    with beside_the_verdict(junit):
        write_junit(junit, scenario.name, cases_of_run(result))
    return result.exit_code


def _show(
    scenario: Scenario,
    result: Result,
    recorded: Result | None,
    manifest: Manifest | None,
    *,
    as_json: bool,
) -> None:
    changed = _changed(result, recorded)
    then = None if recorded is None else recorded.verdict
    if as_json:
        then_and_now = {"recorded": {"verdict": then, "changed": changed}}
        print_json({**result.model_dump(mode="json"), **then_and_now})
        return
    print_run(open_console(), result, scenario)
    by = "" if manifest is None else f", bundled by crunchbed {manifest.made_by}"
    click.echo(f"verdict then: {then or 'none'}{by}; today: {result.verdict}")
    for name, (old, new) in changed.items():
        click.echo(f"computed otherwise today: {name}: {old} then, {new} today")


def _changed(result: Result, recorded: Result | None) -> dict[str, Any]:
    """Return the figures that today's checks compute otherwise, each with both values."""
    if recorded is None:
        return {}
    known = recorded.totals.model_fields_set
    pairs = {
        name: (recorded.totals.value(name), result.totals.value(name))
        for name in NAMES
        if name.partition(".")[0] in known
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
