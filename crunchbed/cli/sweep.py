"""``crunchbed sweep``: many runs of one scenario, and thresholds in it."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import click
import orjson
from click.core import ParameterSource

from crunchbed.checks.result import Result
from crunchbed.cli.options import chosen_scenario, run_directory, seed_range
from crunchbed.experiments.sweep import capacity
from crunchbed.experiments.sweep import workers as pool
from crunchbed.experiments.sweep.conduct import Conductor
from crunchbed.experiments.sweep.folder import SweepFolder
from crunchbed.experiments.sweep.request import FIGURES, Request
from crunchbed.experiments.sweep.run_process import Made
from crunchbed.experiments.sweep.schedule import Scheduler, refuse, result_in
from crunchbed.experiments.sweep.threshold import DEFAULT_TOLERANCE
from crunchbed.experiments.sweep.trial import trials_of
from crunchbed.report.sweep_progress import SweepProgress
from crunchbed.report.sweep_summary import print_sweep
from crunchbed.report.table import open_console
from reserve_agent.errors import BadInput, RunInvalid

AUTO = "auto"
_MOST_WORKERS = 64
_GO_WITH_RESUME = ("resume", "workers", "scheduler", "as_json")


@click.command()
@click.argument("scenario", required=False)
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=V,V",
    help="Values of a key, or a range A..B for --random and --find-threshold; may be repeated.",
)
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a key of the scenario for all runs; may be repeated.",
)
@click.option("--seeds", metavar="A..B", default="1", show_default=True, help="At each point.")
@click.option("--random", "count", type=click.IntRange(1, 100_000), help="Draw so many points.")
@click.option(
    "--random-seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="What --random draws them with.",
)
@click.option(
    "--find-threshold",
    "find",
    metavar="FIGURE",
    help="Find where FIGURE turns from 0, along the one --vary that has a range.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0.001, 1),
    default=DEFAULT_TOLERANCE,
    show_default=True,
    help="Share of a threshold within which it is wanted.",
)
@click.option(
    "--confirm",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Further runs on either side of a threshold, and away from it until all agree.",
)
@click.option("--figures", metavar="F,F", default=",".join(FIGURES), help="Figures of the table.")
@click.option(
    "--workers",
    metavar="N",
    default=AUTO,
    show_default=True,
    help="Runs at once; auto finds out how many do not disturb one another.",
)
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="A Dask scheduler's workers instead.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Directory to make.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Go on with a sweep that was ended.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON on stdout.")
def sweep(
    scenario: str | None,
    vary: tuple[str, ...],
    overrides: tuple[str, ...],
    seeds: str,
    count: int | None,
    random_seed: int,
    find: str | None,
    tolerance: float,
    confirm: int,
    figures: str,
    workers: str,
    scheduler: str | None,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
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
    if resume is not None:
        _refuse_beside_resume()
        folder = SweepFolder.open(resume)
        request = Request.of(folder.asked, str(resume))
    else:
        chosen = chosen_scenario(str(scenario), overrides, None).with_overrides({"expect": []})
        request = Request(
            scenario=chosen.resolved(),
            vary=vary,
            seeds=tuple(seed_range(seeds, 1, 1)),
            random=count,
            random_seed=random_seed,
            find=find,
            tolerance=tolerance,
            confirm=confirm,
            figures=tuple(name.strip() for name in figures.split(",")),
        )
        request.check()
        trials_of(request.base, request.known_points, request.seeds)  # what is wrong, is so now
        directory = out or run_directory(None, f"{chosen.name}-sweep")
        folder = SweepFolder.make(directory, request.model_dump(mode="json"))
    number = _workers(workers)
    with folder.held():
        if unmade := folder.forget_unmade():
            click.echo(f"{unmade} runs had left nothing, and are made again", err=True)
        return _carry_out(request, folder, number, scheduler, as_json=as_json)


def _refuse_beside_resume() -> None:
    """Options that say what a sweep is of; passed over, one would believe that they count."""
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
    request: Request,
    folder: SweepFolder,
    workers: int | None,
    scheduler: str | None,
    *,
    as_json: bool,
) -> int:
    trials = [] if request.find else trials_of(request.base, request.points, request.seeds)
    missing = folder.missing(trials)
    total = None if request.find else len(trials)
    with (
        tempfile.TemporaryDirectory(prefix="crunchbed-sweep-") as scratch,
        _pool(workers, scheduler, Path(scratch)) as made,
        SweepProgress(total, len(trials) - len(missing)) as progress,
    ):
        progress.note(f"{folder.path}; ended early, `crunchbed sweep --resume` goes on with it")
        limit = made.size if workers is None else min(workers, made.size)
        if workers is None and (missing or request.find):
            limit = capacity.measure(made, request.base, limit, progress.note, _disturbed)
        conductor = Conductor(request, folder, Scheduler(made, limit, folder.store, progress))
        summary = conductor.run()
    if as_json:
        click.echo(orjson.dumps(summary.record(), option=orjson.OPT_INDENT_2).decode())
    else:
        print_sweep(open_console(), summary, request.figures)
        click.echo(f"sweep: {folder.path}")
    return 0 if summary.whole else RunInvalid.exit_code


def _pool(
    workers: int | None, scheduler: str | None, scratch: Path
) -> AbstractContextManager[pool.Pool]:
    if scheduler is not None:
        return pool.connected(scheduler)
    return pool.local(workers or capacity.most(), scratch)


def _disturbed(made: Made) -> str | None:
    """Why a control was disturbed, or None.

    Raises:
        CrunchbedError: It cannot be run at all.
    """
    refuse(made, "controls side by side")
    result: Result | None = result_in(made)
    if result is None:
        return made.words
    if result.verdict == "invalid":
        return "; ".join(result.reasons)
    missed = result.totals.heartbeats_missed
    return f"{missed} heartbeats missed" if missed else None
