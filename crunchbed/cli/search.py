"""``crunchbed search``: random schedules of faults, until one breaks a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from crunchbed.backends import backend_of
from crunchbed.checks.invariants import RULES
from crunchbed.checks.result import EXIT_CODES
from crunchbed.cli.names import names_of
from crunchbed.cli.options import Options, bundled, takes
from crunchbed.cli.output import print_json
from crunchbed.experiments.search.conduct import Search
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
_KIND: Final = "kind of fault"
_MOST_RUNS: Final = 10_000_000
_MOST_WORKERS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What schedules are drawn from, as the command line has it; see ``Bounds``."""

    over: str
    most: int
    kinds: str | None

    def bounds(self, seed: int) -> Bounds:
        """Return it checked; BadInput where a word is unknown."""
        kinds = FAULTS if self.kinds is None else names_of(self.kinds, tuple(FAULTS), _KIND)
        over = frozenset(names_of(self.over, OVER, "part of a schedule"))
        return Bounds(over=over, kinds=tuple(kinds), most=self.most, seed=seed)


_DRAWN: Final = {
    "over": click.option(
        "--over",
        metavar="W,W",
        default=",".join(OVER),
        show_default=True,
        help="What is drawn: which faults and crunch, when and how long, the seed of each run.",
    ),
    "most": click.option(
        "--most",
        type=click.IntRange(1, MOST_FAULTS),
        default=4,
        show_default=True,
        help="Faults in one schedule at most, beside the crunch.",
    ),
    "kinds": click.option(
        "--kinds",
        metavar="K,K",
        show_default="all that go with the scenario",
        help=f"Kinds of faults to draw, out of {', '.join(FAULTS)}.",
    ),
}


@click.command()
@click.argument("scenario")
@click.option(
    "--runs",
    type=click.IntRange(1, _MOST_RUNS),
    default=1000,
    show_default=True,
    help="How many runs to make.",
)
@bundled("drawn", Drawn, _DRAWN)
@click.option("--first", is_flag=True, help="End with the first run that breaks a rule.")
@click.option(
    "--workers",
    type=click.IntRange(1, _MOST_WORKERS),
    show_default="as many as processors",
    help="Runs at once.",
)
@takes("policy", "memalloc", "seed", "overrides", "out", "quiet", "as_json")
def search(
    options: Options, drawn: Drawn, scenario: str, runs: int, first: bool, workers: int | None
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
    bounds = drawn.bounds(options.seed)
    place = options.directory(f"{base.name}-search")
    folder = SearchFolder(place, base, f"crunchbed search {scenario}")
    with (
        ended_by_signals(),
        SearchProgress(runs, folder.keep, quiet=options.quiet) as progress,
    ):
        made = Search(base, bounds, options.seed, progress)
        with pool_of(workers) as pool:
            made.run(runs, pool, first=first)
    return _tell(made, base, folder, _asked(base, bounds, made.kinds), as_json=options.as_json)


def _asked(base: Scenario, bounds: Bounds, kinds: Sequence[str]) -> dict[str, Any]:
    return {
        "scenario": base.name,
        "policy": base.policy,
        "over": sorted(bounds.over),
        "kinds": kinds,
        "most": bounds.most,
        "seed": bounds.seed,
        "rules": list(RULES),
    }


def _refuse(base: Scenario) -> None:
    if refused := backend_of(base).refuses(base, hold=False):
        raise BadInput(f"backend simulation: {'; '.join(refused)}")


def _tell(
    made: Search, base: Scenario, folder: SearchFolder, asked: dict[str, Any], *, as_json: bool
) -> int:
    found = made.found
    record = folder.keep_all(found, asked)
    if as_json:
        print_json(record)
    else:
        print_found(open_console(), base.name, found, folder.file_of)
        click.echo(f"search: {folder.path}")
    if found.violations:
        return EXIT_CODES["fail"]
    return _INTERRUPTED if found.interrupted else EXIT_CODES["pass"]
