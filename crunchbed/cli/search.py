"""``crunchbed search``: random schedules of faults, until one breaks a rule."""

from __future__ import annotations

from typing import Any, Final

import click

from crunchbed.backends import backend_of
from crunchbed.checks.invariants import RULES
from crunchbed.checks.result import EXIT_CODES
from crunchbed.cli.names import names_of
from crunchbed.cli.options import Options, takes
from crunchbed.cli.output import print_json
from crunchbed.experiments.search.conduct import Found, Search
from crunchbed.experiments.search.draw import MOST_FAULTS, OVER, Bounds
from crunchbed.experiments.search.folder import SearchFolder
from crunchbed.experiments.search.pool import pool_of
from crunchbed.experiments.search.schedule import searched
from crunchbed.experiments.search.values import FAULTS
from crunchbed.report.search_progress import SearchProgress, print_found
from crunchbed.report.table import open_console
from crunchbed.run.signals import ended_by_signals
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput

_INTERRUPTED: Final = 130
_MOST_RUNS: Final = 10_000_000
_MOST_WORKERS: Final = 64


@click.command()
@click.argument("scenario")
@click.option(
    "--over",
    metavar="W,W",
    default=",".join(OVER),
    show_default=True,
    help="What is drawn: which faults and crunch, when and how long, the seed of each run.",
)
@click.option(
    "--runs",
    type=click.IntRange(1, _MOST_RUNS),
    default=1000,
    show_default=True,
    help="How many runs to make.",
)
@click.option(
    "--most",
    type=click.IntRange(1, MOST_FAULTS),
    default=4,
    show_default=True,
    help="Faults in one schedule at most, beside the crunch.",
)
@click.option(
    "--kinds",
    metavar="K,K",
    show_default="all that go with the scenario",
    help=f"Kinds of faults to draw, out of {', '.join(FAULTS)}.",
)
@click.option("--first", is_flag=True, help="End with the first run that breaks a rule.")
@click.option(
    "--workers",
    type=click.IntRange(1, _MOST_WORKERS),
    show_default="as many as processors",
    help="Runs at once.",
)
@takes("policy", "memalloc", "seed", "overrides", "out", "quiet", "as_json")
def search(
    options: Options,
    scenario: str,
    over: str,
    runs: int,
    most: int,
    kinds: str | None,
    first: bool,
    workers: int | None,
) -> int:
    """Simulate SCENARIO under random schedules of faults, and look for one that breaks a rule.

    The rules hold whatever happens to a cluster: no two nodes serve the block device at once, no
    acknowledged write is lost, no two groups decide at once, a majority has wanted each fence,
    nobody is replaced before the fence is confirmed, and a node that is ejected alive has missed
    heartbeats for a known cause. Schedules that end as none before are gone on with.

    Of each rule that is broken the schedule is made as small as possible, and written as a scenario
    file, to be run again here or with real nodes. Exit code 1 says that a rule was broken. Ctrl-C
    ends the search and keeps what was found. The same --seed makes the same search.

    \b
    Examples:
      crunchbed search target-failover --runs 10000
      crunchbed search failover-in-crunch --over times,seeds --policy memalloc
                                          its own faults, at other times
      crunchbed search partition --kinds partition,stall,fence-failure --most 2
      crunchbed search target-failover --set fencing.confirm=false --first
                                          a cluster without fencing, as a trial
      crunchbed run runs/.../target-failover-two-writers.yaml --backend namespaces
                                          what was found, with real nodes
    """  # noqa: D301 - \b is click's
    base = searched(options.scenario(scenario))
    _refuse(base)
    bounds = Bounds(
        over=frozenset(names_of(over, OVER, "part of a schedule")),
        kinds=tuple(names_of(kinds, tuple(FAULTS), "kind of fault") if kinds else FAULTS),
        most=most,
        seed=options.seed,
    )
    folder = SearchFolder(
        options.directory(f"{base.name}-search"), base, f"crunchbed search {scenario}"
    )
    with (
        ended_by_signals(),
        SearchProgress(runs, folder.keep, quiet=options.quiet) as progress,
    ):
        found = Search(base, bounds, options.seed, progress)
        with pool_of(workers) as pool:
            found.run(runs, pool, first=first)
    asked = {
        "scenario": base.name,
        "policy": base.policy,
        "over": sorted(bounds.over),
        "kinds": list(found.kinds),
        "most": most,
        "seed": options.seed,
        "rules": list(RULES),
    }
    return _tell(found.found, base, folder, asked, as_json=options.as_json)


def _refuse(base: Scenario) -> None:
    if refused := backend_of(base).refuses(base, hold=False):
        raise BadInput(f"backend simulation: {'; '.join(refused)}")


def _tell(
    found: Found, base: Scenario, folder: SearchFolder, asked: dict[str, Any], *, as_json: bool
) -> int:
    record = folder.keep_all(found, asked)
    if as_json:
        print_json(record)
    else:
        print_found(open_console(), base.name, found, folder.file_of)
        click.echo(f"search: {folder.path}")
    if found.violations:
        return EXIT_CODES["fail"]
    return _INTERRUPTED if found.interrupted else EXIT_CODES["pass"]
