"""``crunchbed up`` and ``crunchbed down``: a cluster that stays until somebody ends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crunchbed.checks.result import Result
from crunchbed.cli import detach as detached
from crunchbed.cli.beside import recording
from crunchbed.cli.live_run import chosen_run, of_run
from crunchbed.cli.options import BACKEND, Options, takes
from crunchbed.cli.output import json_option, print_json, say
from crunchbed.history.history import History
from crunchbed.live import runs
from crunchbed.report.actions_taken import actions_taken
from crunchbed.report.progress import watched
from crunchbed.report.table import open_console, print_run
from crunchbed.scenario.schema import Scenario
from nodes.waiting import wait_until

if TYPE_CHECKING:
    from crunchbed.prometheus.scraper import Scraper

_END_SECONDS = 600.0


@click.command()
@click.argument("scenario")
@takes(
    *("policy", "memalloc", "overrides", *BACKEND),
    *("out", "prometheus", "quiet", "as_json"),
)
@click.option(
    "--detach", is_flag=True, help="Return when the cluster is up; `crunchbed down` ends it."
)
def up(options: Options, scenario: str, detach: bool) -> int:
    """Start the cluster of SCENARIO and hold it open until `crunchbed down`, or Ctrl-C.

    The scenario's own crunch, faults and expectations are left out: from another terminal you
    do what you want to see, and all of it goes into the history. What was measured until the
    first deed is the control phase. The end is that of any run: writes are read back, and a
    table is printed. A second Ctrl-C leaves that out.

    \b
    Examples:
      crunchbed up control                      in one terminal; in another:
      crunchbed status --watch
      crunchbed crunch n1 --kind timed --for 200ms
      crunchbed policy n1 none
      crunchbed link n2 down
      crunchbed shell n1 -- ss -tn
      crunchbed down
      crunchbed up control --detach && crunchbed crunch n1 --for 200ms && crunchbed down
    """  # noqa: D301 - \b is click's
    chosen = options.scenario(scenario)
    directory = options.directory(f"{chosen.name}-up-{chosen.policy}")
    if detach:
        log = directory.with_name(f"{directory.name}.log")
        run = detached.hold(detached.command(scenario, options, directory), directory, log)
        done = {"run": run, "directory": str(directory.resolve()), "log": str(log)}
        say(f"run {run} is up: {directory}; log: {log}", done, as_json=options.as_json)
        return 0
    with recording(options.prometheus, chosen) as scraper:
        result = _hold(chosen, directory, scraper, quiet=options.quiet)
    if options.as_json:
        print_json(result.model_dump(mode="json"))
    else:
        print_run(open_console(), result, chosen)
        deeds = actions_taken(History.read(directory / "history.jsonl"))
        click.echo("\n".join(["what was done, from the begin of the control phase:", *deeds]))
        click.echo(f"run directory: {directory}")
    return result.exit_code


def _hold(scenario: Scenario, directory: Path, scraper: Scraper | None, *, quiet: bool) -> Result:
    from crunchbed.run import engine  # brings the checks and the report

    with watched(scenario, scenario.name, quiet=quiet) as progress:
        return engine.run(scenario, out=directory, progress=progress, hold=True, scraper=scraper)


@click.command()
@json_option
@of_run
def down(as_json: bool, run_id: str | None) -> None:
    """End the cluster that `crunchbed up` holds open, and wait until nothing is left of it.

    Its terminal shows what was measured; the run directory has the rest.

    \b
    Examples:
      crunchbed down
      crunchbed down --run k3xq
      crunchbed down --json | jq -r .directory
    """  # noqa: D301 - \b is click's
    run = chosen_run(run_id)
    directory = Path(str(runs.tell(run, "down")["directory"]))
    wait_until(lambda: run not in runs.live_runs(), _END_SECONDS, f"the end of run {run}")
    result = directory / "result.json"
    verdict = Result.read(result).verdict if result.exists() else None
    say(
        f"run {run} is down: {verdict or 'not judged'}; {directory}",
        {"run": run, "verdict": verdict, "directory": str(directory)},
        as_json=as_json,
    )
