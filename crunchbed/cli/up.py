"""``crunchbed up`` and ``crunchbed down``: a cluster that stays until somebody ends it."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from crunchbed.checks.result import Result
from crunchbed.cli.live import need_root, of_run, say, with_json
from crunchbed.cli.options import chosen_scenario, quiet_option, run_directory, with_policies
from crunchbed.cli.prometheus import prometheus_option, recording
from crunchbed.history.history import History
from crunchbed.live import live
from crunchbed.prometheus.scraper import Scraper
from crunchbed.report.actions_taken import actions_taken
from crunchbed.report.progress import watched
from crunchbed.report.table import open_console, print_run
from crunchbed.scenario.schema import Scenario
from nodes.waiting import wait_until
from reserve_agent.errors import BadInput
from reserve_agent.policies import MEMALLOC_CLASSES, POLICIES

_END_SECONDS = 600.0


@click.command()
@click.argument("scenario")
@click.option("--policy", metavar="POLICY", help=f"One of {', '.join(POLICIES)}.")
@click.option(
    "--memalloc",
    metavar="CLASSES",
    help=f"Classes whose sockets are memalloc: {','.join(MEMALLOC_CLASSES)}, or none.",
)
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a key of the scenario, such as cluster.nodes=5; may be repeated.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory to make; by default one under runs/.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
@quiet_option
@prometheus_option
def up(
    scenario: str,
    policy: str | None,
    memalloc: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    prometheus: bool,
    quiet: bool,
) -> int:
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
    """  # noqa: D301 - \b is click's
    chosen = chosen_scenario(scenario, overrides, memalloc)
    if policy is not None:
        if "," in policy:
            raise BadInput(f"--policy: expected one, got {policy}")
        chosen = with_policies(chosen, policy)[0]
    directory = run_directory(out, f"{chosen.name}-up-{chosen.policy}")
    with recording(prometheus) as scraper:
        result = _hold(chosen, directory, scraper, quiet=quiet)
    if as_json:
        click.echo(orjson.dumps(result.model_dump(mode="json"), option=orjson.OPT_INDENT_2))
    else:
        print_run(open_console(), result, chosen)
        done = actions_taken(History.read(directory / "history.jsonl"))
        click.echo("\n".join(["what was done, from the begin of the control phase:", *done]))
        click.echo(f"run directory: {directory}")
    return result.exit_code


def _hold(scenario: Scenario, directory: Path, scraper: Scraper | None, *, quiet: bool) -> Result:
    from crunchbed.run import engine  # brings Mininet and the hooks' loader

    with watched(scenario, scenario.name, quiet=quiet) as progress:
        return engine.run(scenario, out=directory, progress=progress, hold=True, scraper=scraper)


@click.command()
@with_json
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
    need_root()
    run = live.choose_run(run_id)
    directory = Path(str(live.tell(run, "down")["directory"]))
    wait_until(lambda: run not in live.live_runs(), _END_SECONDS, f"the end of run {run}")
    result = directory / "result.json"
    verdict = Result.read(result).verdict if result.exists() else None
    say(
        f"run {run} is down: {verdict or 'not judged'}; {directory}",
        {"run": run, "verdict": verdict, "directory": str(directory)},
        as_json=as_json,
    )
