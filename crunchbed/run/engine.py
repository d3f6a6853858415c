"""One run, from a validated scenario to a judged result: a single pass forward.

Everything that is started registers its undo before the next thing starts; the undos run in
reverse whatever happens.
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crunchbed.archive import rundir
from crunchbed.checks import wholeness
from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.history import history
from crunchbed.history.merge import merge
from crunchbed.history.recorder import Recorder
from crunchbed.report.html import make
from crunchbed.report.html.source import Recorded
from crunchbed.run import signals
from crunchbed.run.backend import Site
from crunchbed.run.fault_injection import FaultInjection
from crunchbed.run.fault_plan import draw_faults
from crunchbed.run.held.scenario import with_flood_reader, without_plan
from crunchbed.run.inject import Injections
from crunchbed.run.plan import draw_all
from crunchbed.run.progress import Progress, read_nodes
from crunchbed.run.start import HEALTHY_SECONDS, Running, claimed, ready_backend, started
from crunchbed.run.world import STORAGE
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.run import PhaseBegan, Recovery, RunInfo
from reserve_agent.contract.events.writes import VerifyResult, WritesVerified
from reserve_agent.errors import CrunchbedError, RunInvalid
from reserve_agent.files import write_json

if TYPE_CHECKING:
    from crunchbed.prometheus.scraper import Scraper

_MOST_EVENTS_SHOWN = 200_000  # about a second


@dataclass(frozen=True)
class Request:
    """What is to be run.

    Attributes:
        scenario: What is recorded and judged.
        held: What the cluster is started for that is held open; None for an experiment.
        on_file: Whether the run has a directory.
    """

    scenario: Scenario
    seed: int
    held: Scenario | None = None
    scraper: Scraper | None = None
    on_file: bool = True
    report: bool = True


def run(
    scenario: Scenario,
    *,
    seed: int = 1,
    out: Path | None = None,
    progress: Progress | None = None,
    hold: bool = False,
    scraper: Scraper | None = None,
    report: bool = True,
) -> Result:
    """Execute one run and judge it.

    Args:
        scenario: With the policy and flags of this run.
        seed: Decides everything that the scenario leaves to chance.
        out: Run directory to make; under ``runs/`` by default.
        progress: Told what happens while it happens.
        hold: Keep the cluster open and do to it what other terminals ask for, in place of the
            scenario's crunch and faults, until somebody ends it.
        scraper: Records the run's metrics; the control phase waits until it does.
        report: Write ``report.html`` too; ``crunchbed report`` makes it later from the same files.

    Raises:
        BadInput: The scenario's backend cannot do it; nothing was started.
        MissingRequirement: This machine cannot do it; nothing was started.
        RunInvalid: The cluster did not come up, a part of the testbed died, or the disk is full.
        KeyboardInterrupt: A signal asked for the end.
    """
    watcher = progress or Progress()
    held = with_flood_reader(scenario) if hold else None
    planned = without_plan(scenario) if hold else scenario
    request = Request(planned, seed, held, scraper, report=report)
    with signals.interruptible():
        backend = ready_backend(scenario, hold=hold)
        with claimed(backend, request.scenario, seed, out, watcher) as (site, directory):
            try:
                return _measure(request, site, directory, watcher)
            except (CrunchbedError, OSError) as error:
                signals.check()  # what somebody has ended is not invalid
                raise _explained(error, request, (directory, *site.places)) from error


def _measure(request: Request, site: Site, directory: Path, progress: Progress) -> Result:
    """Record the run, judge what was recorded, and show it."""
    _record(request, site, directory, progress)
    with history.no_collector():
        return _judged(request, directory, progress)


def _judged(request: Request, directory: Path, progress: Progress) -> Result:
    recorded = history.History.read(directory / "history.jsonl")
    _audit(recorded, request.scenario, directory)
    result = judge(recorded, request.scenario, partial(_log_failure, directory))
    result.write(directory / "result.json")
    if request.report:
        run = Recorded(request.scenario.policy, request.scenario, recorded, result)
        _show(run, directory, progress)
    return result


def _audit(recorded: history.History, scenario: Scenario, directory: Path) -> None:
    """Look at every event once, and keep what is found beside the history's digest."""
    try:
        recorded.audited = tuple(wholeness.audit(recorded, scenario))
    except Exception:
        return  # the judge meets the same, and says so
    rundir.note_audit(directory, recorded.audited)


def _log_failure(directory: Path, error: Exception) -> None:
    """Keep what a check says that has failed."""
    text = "".join(traceback.format_exception(error))
    (directory / "logs" / "judge.log").write_text(text)


def _record(request: Request, site: Site, directory: Path, progress: Progress) -> None:
    """Execute the run; its history appears whole or stays in parts."""
    parts = directory / "history"
    with closing(Recorder(parts / "run.jsonl", site.loop.now_ns)) as recorder:
        recorder.record(PhaseBegan(name="start"))
        progress.phase("start", None)
        if request.scraper is not None:
            request.scraper.begin(directory, signals.check)
        for warning in request.scenario.warnings():
            progress.note(warning)
        hold = request.held is not None
        cluster = request.held or request.scenario
        with started(site, cluster, directory, recorder, progress, hold=hold) as run:
            execute(request, run)
        recorder.finish()
    merged = merge(sorted(parts.glob("*.jsonl")), directory / "history.jsonl")
    rundir.note_history(directory, merged)
    shutil.rmtree(parts)


def _explained(
    error: CrunchbedError | OSError, request: Request, places: Sequence[Path]
) -> CrunchbedError | OSError:
    """Return the error to tell; that the run is invalid goes into its directory too, if it can."""
    if (reason := rundir.unwritable(places, error)) is not None:
        error = RunInvalid(reason)
    if isinstance(error, CrunchbedError):
        with suppress(OSError):
            invalid = Result.not_measured(request.scenario, request.seed, str(error))
            invalid.write(places[0] / "result.json")
    return error


def _show(recorded: Recorded, directory: Path, progress: Progress) -> None:
    """Write ``report.html``, where that takes little time; its failure is not the run's."""
    events = len(recorded.history.events)
    if events > _MOST_EVENTS_SHOWN:
        progress.note(f"no report of {events:,} events: crunchbed report {directory}")
        return
    try:
        make.write_run(recorded, directory / "report.html")
    except CrunchbedError as error:
        progress.note(str(error))
    except Exception as error:  # the verdict stands whatever the page is made of
        progress.note(f"no report: {error!r}")


def execute(request: Request, run: Running) -> None:
    """Take a cluster that was booted through all phases."""
    phases = request.scenario.phases
    _describe(request, run)
    run.progress.watch(lambda: read_nodes(run.world.nodes))
    run.supervisor.require_health(HEALTHY_SECONDS)
    _await_scraper(request, run)
    if request.held is not None:
        from crunchbed.run.held.hold import Hold  # with what other terminals see of live runs

        Hold(run).run()
    else:
        run.begin_phase("control", phases.control)
        run.supervisor.wait(phases.control / 1e9)
        run.begin_phase("inject", phases.inject)
        _inject(request, run)
    run.begin_phase("recovery", phases.recovery)
    _recover(request, run)
    if phases.after:
        run.begin_phase("after", phases.after)
        run.supervisor.wait(phases.after / 1e9)
    run.begin_phase("collect")
    _collect(request, run)
    run.recorder.record(PhaseBegan(name="end"))


def _describe(request: Request, run: Running) -> None:
    """Write down what is run, and on what; of this machine only where its clock decides a run.

    ``run.json`` beside the history has all of it.
    """
    world = run.world.info
    told = rundir.identity(request.scenario, request.seed, run.run_id, world)
    if request.on_file:
        now_ns = run.loop.now_ns()
        info = rundir.metadata(request.scenario, request.seed, run.run_id, now_ns, world)
        write_json(run.out / "run.json", info)
        told = told if world.get("repeatable") else info
    run.recorder.record(RunInfo(**told, held=request.held is not None))


def _await_scraper(request: Request, run: Running, since: float = 0.0) -> None:
    if request.scraper is not None:
        nodes = len(run.world.nodes)
        request.scraper.await_run(run.run_id, nodes, run.supervisor.wait_until, since)


def _inject(request: Request, run: Running) -> None:
    """Crunch and do harm, and watch until the consequences had the time to show."""
    seconds = request.scenario.phases.inject / 1e9
    plans = draw_all(request.scenario, request.seed)
    faults = draw_faults(request.scenario, request.seed)
    if not plans and not faults:
        run.supervisor.wait(seconds)
        return
    with FaultInjection(faults, run.fault_context) as injected:
        run.supervisor.cut_off_since = injected.cut_off_since
        crunches = Injections(plans, run.world, run.recorder, run.loop)
        crunches.begin()
        # All are asked: they move on by being asked.
        run.supervisor.wait_until(lambda: all([injected.over(), crunches.over()]), seconds)
    crunches.undo()
    run.await_aftermath(injected.settled)


def _recover(request: Request, run: Running) -> None:
    """Wait until the cluster is whole again; that it was not is a finding, not an error."""
    seconds = request.scenario.phases.recovery / 1e9
    healthy = run.supervisor.wait_until(run.supervisor.healthy, seconds)
    reason = None if healthy else run.supervisor.unhealthy()
    run.recorder.record(Recovery(healthy=healthy, reason=reason))
    if not healthy:
        run.progress.note(f"not recovered: {reason}")


def _collect(request: Request, run: Running) -> None:
    """Have every part of the run say what it knows, as far as a node has an agent that answers."""
    nodes = run.world.nodes.values()
    for node in nodes:  # while there are sockets
        with suppress(CrunchbedError):
            node.count_reserve_users()
    run.supervisor.cancel_reboots()
    run.world.quiesce()
    for node in nodes:
        with suppress(CrunchbedError):
            node.count_packets()
    run.world.count_packets()
    _verify_writes(run)
    _await_scraper(request, run, time.time())  # once more, with all that is known by now


def _verify_writes(run: Running) -> None:
    """Read every acknowledged block back and record what was found.

    Every node is told how many of its blocks were not there, for its metrics.
    """
    found = run.world.read_back()
    for name, node in run.world.nodes.items():
        with suppress(CrunchbedError):
            node.note(WritesVerified(lost=found.bad_of_node.get(name, 0)))
    result = VerifyResult(
        node=STORAGE, checked=found.checked, ok=found.ok, lost=found.lost, corrupt=found.corrupt
    )
    run.recorder.record(result)
