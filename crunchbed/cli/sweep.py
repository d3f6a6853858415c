"""``crunchbed sweep``: many runs of one scenario, and thresholds in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from crunchbed.checks.result import Result
from crunchbed.cli.names import seed_range
from crunchbed.cli.options import BACKEND, Options, bundled, takes
from crunchbed.cli.output import DIRECTORY, print_json
from crunchbed.experiments.sweep import capacity
from crunchbed.experiments.sweep.conduct import Conductor
from crunchbed.experiments.sweep.folder import SweepFolder
from crunchbed.experiments.sweep.made import Made
from crunchbed.experiments.sweep.request import FIGURES, Request
from crunchbed.experiments.sweep.schedule import Scheduler, refuse, result_in
from crunchbed.experiments.sweep.scratch import workplace
from crunchbed.experiments.sweep.space import trials_of
from crunchbed.experiments.sweep.threshold import DEFAULT_TOLERANCE
from crunchbed.report.sweep_progress import SweepProgress
from crunchbed.report.sweep_summary import print_sweep
from crunchbed.report.table import open_console
from crunchbed.run.signals import ended_by_signals
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import BadInput, RunInvalid

if TYPE_CHECKING:
    from crunchbed.experiments.sweep.simulated import Processes
    from crunchbed.experiments.sweep.workers import Pool

Begin = Callable[[], AbstractContextManager[SweepFolder]]

AUTO = "auto"
_MOST_WORKERS = 64
_GO_WITH_RESUME = ("resume", "workers", "scheduler", "as_json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """The points and seeds of a sweep, as the command line has them; see ``Request``."""

    vary: tuple[str, ...]
    seeds: str
    random: int | None
    random_seed: int
    find: str | None
    tolerance: float
    confirm: int
    figures: str

    def request(self, scenario: Scenario) -> Request:
        """Return the sweep that is asked for; BadInput where a part of it is wrong."""
        listed = {
            "seeds": tuple(seed_range(self.seeds, 1, 1)),
            "figures": [name.strip() for name in self.figures.split(",")],
        }
        request = Request.model_validate(
            {**asdict(self), **listed, "scenario": scenario.resolved()}
        )
        request.check()
        trials_of(request.base, request.known_points, request.seeds)  # refuses what is wrong now
        return request


_POINTS: Final = {
    "vary": click.option(
        "--vary",
        multiple=True,
        metavar="KEY=V,V",
        help="Values of a key, or a range A..B for --random and --find-threshold; may be repeated.",
    ),
    "seeds": click.option(
        "--seeds", metavar="A..B", default="1", show_default=True, help="At each point."
    ),
    "random": click.option(
        "--random", type=click.IntRange(1, 100_000), help="Draw so many points."
    ),
    "random_seed": click.option(
        "--random-seed",
        type=click.IntRange(0),
        default=1,
        show_default=True,
        help="What --random draws them with.",
    ),
    "find": click.option(
        "--find-threshold",
        "find",
        metavar="FIGURE",
        help="Find where FIGURE turns from 0, along the one --vary that has a range.",
    ),
    "tolerance": click.option(
        "--tolerance",
        type=click.FloatRange(0.001, 1),
        default=DEFAULT_TOLERANCE,
        show_default=True,
        help="Share of a threshold within which it is wanted.",
    ),
    "confirm": click.option(
        "--confirm",
        type=click.IntRange(0, 1000),
        default=0,
        show_default=True,
        help="Further runs on either side of a threshold, and away from it until all agree.",
    ),
    "figures": click.option(
        "--figures", metavar="F,F", default=",".join(FIGURES), help="Figures of the table."
    ),
}


@click.command()
@click.argument("scenario", required=False)
@bundled("points", Points, _POINTS)
@click.option(
    "--workers",
    metavar="N",
    default=AUTO,
    show_default=True,
    help="Runs at once; auto finds out how many do not disturb one another.",
)
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="A Dask scheduler's workers instead.")
@click.option("--resume", type=DIRECTORY, metavar="DIR", help="Go on with a sweep that was ended.")
@takes("overrides", *BACKEND, "out", "as_json")
def sweep(
    options: Options,
    points: Points,
    scenario: str | None,
    workers: str,
    scheduler: str | None,
    resume: Path | None,
) -> int:
    """Run SCENARIO at many points: a grid, drawn at random, or searching for a threshold.

    A sweep that was ended, in whatever way, goes on with --resume; finished runs are kept.

    \b
    Examples:
      crunchbed sweep writeback-crunch --vary policy=none,memalloc \\
          --vary crunch.pages=1000,4000,12000 --seeds 1..5
      crunchbed sweep micro-crunch --vary crunch.length=50us..200ms --random 40
      crunchbed sweep writeback-crunch --set policy=none --seeds 1..3 \\
          --vary crunch.pages=10..12000 --find-threshold nodes_ejected --confirm 10
                                          the smallest crunch that ejects
      crunchbed sweep writeback-crunch --set policy=memalloc --seeds 1..3 \\
          --vary memory.reserve=4..256 --find-threshold nodes_ejected
                                          the smallest reserve that saves
      crunchbed sweep --resume runs/20261124T031500-writeback-crunch-sweep-1f2e
    """  # noqa: D301 - \b is click's
    if (scenario is None) == (resume is None):
        raise BadInput("sweep: expected a SCENARIO, or --resume DIR and no scenario")
    number = _workers(workers)
    request, begin = _resumed(resume) if resume else _new(options, points, str(scenario))
    # The folder is made once there are workers: a scheduler that does not answer leaves none.
    with (
        ended_by_signals(),
        workplace() as place,
        _pool(request.base, number, scheduler, place) as made,
        begin() as folder,
    ):
        if unmade := folder.forget_unmade():
            click.echo(f"{unmade} runs had left nothing, and are made again", err=True)
        return _carry_out(folder, made, number, as_json=options.as_json)


def _new(options: Options, points: Points, scenario: str) -> tuple[Request, Begin]:
    """Return a new sweep, and what makes its folder; all that was asked for makes sense."""
    chosen = options.scenario(scenario).with_overrides({"expect": []})
    request = points.request(chosen)
    directory = options.out or options.directory(f"{chosen.name}-sweep")
    asked = request.model_dump(mode="json")
    return request, lambda: SweepFolder.make(directory, asked).held()


def _resumed(directory: Path) -> tuple[Request, Begin]:
    """Return a sweep that was ended, and what takes hold of its folder."""
    _refuse_beside_resume()
    folder = SweepFolder.open(directory)
    return Request.of(folder.asked, str(folder.path)), folder.held


def _refuse_beside_resume() -> None:
    """Refuse options that say what to run: a sweep that goes on keeps what it was asked for."""
    context = click.get_current_context()
    given = [
        option.opts[0]
        for option in context.command.params
        if isinstance(option, click.Option)
        and option.name not in _GO_WITH_RESUME
        and context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    ]
    if given:
        raise BadInput(f"--resume: expected no {', '.join(given)}: what was asked for is kept")


def _workers(text: str) -> int | None:
    if text == AUTO:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_WORKERS):
        raise BadInput(f"--workers: expected auto or a number from 1 to {_MOST_WORKERS}: {text!r}")
    return int(text)


def _carry_out(
    folder: SweepFolder, made: Pool | Processes, workers: int | None, *, as_json: bool
) -> int:
    request = Request.of(folder.asked, str(folder.path))
    trials = [] if request.find else trials_of(request.base, request.points, request.seeds)
    missing = folder.missing(trials)
    total = None if request.find else len(trials)
    with SweepProgress(total, len(trials) - len(missing)) as progress:
        progress.note(f"{folder.path}; ended early, `crunchbed sweep --resume` goes on with it")
        limit = made.size if workers is None else min(workers, made.size)
        undisturbed = request.base.cluster.repeatable
        if workers is None and not undisturbed and (missing or request.find):
            limit = capacity.measure(made, request.base, limit, progress.note, _disturbed)
        conductor = Conductor(request, folder, Scheduler(made, limit, folder.store, progress))
        summary = conductor.run()
    if as_json:
        print_json(summary.model_dump(mode="json"))
    else:
        print_sweep(open_console(), summary, request.figures)
        click.echo(f"sweep: {folder.path}")
    return 0 if summary.whole else RunInvalid.exit_code


def _pool(
    scenario: Scenario, workers: int | None, scheduler: str | None, place: Path
) -> AbstractContextManager[Pool | Processes]:
    """Return what makes the runs; each kind loads much that the other does not need."""
    if scheduler is None and scenario.cluster.repeatable:
        from crunchbed.experiments.sweep import simulated

        return simulated.processes(workers or simulated.most(), place)
    from crunchbed.experiments.sweep.workers import connected, local

    if scheduler is not None:
        return connected(scheduler)
    return local(workers or capacity.most(), place)


def _disturbed(made: Made) -> str | None:
    """Return why a run of the control was disturbed, or None; raises as ``refuse``."""
    refuse(made, "controls side by side")
    result: Result | None = result_in(made)
    if result is None:
        return made.words
    if result.verdict == "invalid":
        return "; ".join(result.reasons)
    missed = result.totals.heartbeats_missed
    return f"{missed} heartbeats missed" if missed else None
