"""One run, from a validated scenario to a judged result: a single pass forward.

Everything that is started registers its undo before the next thing starts; the undos run in
reverse whatever happens.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from crunchbed.archive import rundir
from crunchbed.backends.namespaces.cluster import RunningCluster
from crunchbed.backends.namespaces.daemons import Places
from crunchbed.backends.namespaces.readings import look
from crunchbed.backends.namespaces.requirements import needed_by
from crunchbed.checks.judge import judge
from crunchbed.checks.result import Result
from crunchbed.history import history
from crunchbed.history.recorder import Recorder
from crunchbed.host import leaks
from crunchbed.host.requirements import require
from crunchbed.host.run_ids import RunClaim
from crunchbed.prometheus.scraper import Scraper
from crunchbed.report.html import make
from crunchbed.report.html.source import Recorded
from crunchbed.run import collect, signals, sizing
from crunchbed.run.faults.injector import injection
from crunchbed.run.faults.plan import draw_faults
from crunchbed.run.held.hold import Hold
from crunchbed.run.held.scenario import with_flood_reader, without_plan
from crunchbed.run.inject import Injection
from crunchbed.run.plan import Plan, draw
from crunchbed.run.progress import NoProgress, Progress
from crunchbed.scenario.schema import Scenario
from reserve_agent.errors import CrunchbedError, RunInvalid
from topologies.switches import choose_switch

HEALTHY_SECONDS = 20.0
_SETTLED_SECONDS = 5.0  # each fault has a bound of its own
_AFTERMATH_DEADLINES = 2.0
_MOST_EVENTS_SHOWN = 200_000  # about a second
_BPFFS = Path("/sys/fs/bpf")


def run(
    scenario: Scenario,
    *,
    seed: int = 1,
    out: Path | None = None,
    progress: Progress | None = None,
    hold: bool = False,
    scraper: Scraper | None = None,
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

    Raises:
        MissingRequirement: This machine cannot do it; nothing was started.
        RunInvalid: The cluster did not come up, a part of the testbed died, or the disk is full.
        KeyboardInterrupt: A signal asked for the end.
    """
    watcher = progress or NoProgress()
    held = with_flood_reader(scenario) if hold else None
    scenario = without_plan(scenario) if hold else scenario
    with signals.interruptible(), ExitStack() as stack:
        require(needed_by(scenario))
        choose_switch(scenario.cluster.switch)  # type: ignore[arg-type]
        signals.check()
        state = stack.enter_context(RunClaim.claim())
        directory = rundir.make(scenario, seed, state.run_id, out)
        state.record_directory(directory)
        places = Places(state.run_id, state.path, _BPFFS / f"crunchbed-{state.run_id}", directory)
        try:
            _record(scenario, seed, state, places, watcher, held, scraper)
            recorded = history.History.read(directory / "history.jsonl")
            result = judge(recorded, scenario)
            result.write(directory / "result.json")
            _show(recorded, scenario, result, directory, watcher)
            return result
        except (CrunchbedError, OSError) as error:
            signals.check()  # what somebody has ended is not invalid
            raise _explained(error, scenario, seed, directory) from error
        finally:
            shutil.rmtree(places.pins, ignore_errors=True)
            _look_for_leaks(state.run_id, watcher)


def _look_for_leaks(run_id: str, progress: Progress) -> None:
    left = [leak.name for leak in leaks.find(run_id) if leak.kind != "state"]
    if left:
        progress.note(f"left behind: {', '.join(left)}; `crunchbed clean` removes that")


def _record(
    scenario: Scenario,
    seed: int,
    state: RunClaim,
    places: Places,
    progress: Progress,
    held: Scenario | None,
    scraper: Scraper | None,
) -> None:
    """Execute the run; its history appears whole or stays in parts."""
    parts = places.out / "history"
    with closing(Recorder(parts / "run.jsonl")) as recorder:
        _execute(scenario, seed, state, places, recorder, progress, held, scraper)
    history.merge(sorted(parts.glob("*.jsonl")), places.out / "history.jsonl")
    shutil.rmtree(parts)


def _explained(
    error: CrunchbedError | OSError, scenario: Scenario, seed: int, directory: Path
) -> CrunchbedError | OSError:
    """The error to tell; that the run is invalid goes into its directory too, if it can."""
    if (reason := rundir.unwritable(directory, error)) is not None:
        return RunInvalid(f"{directory}: cannot be written to: {reason}")
    if isinstance(error, CrunchbedError):
        with suppress(OSError):
            Result.not_measured(scenario, seed, str(error)).write(directory / "result.json")
    return error


def _show(
    recorded: history.History,
    scenario: Scenario,
    result: Result,
    directory: Path,
    progress: Progress,
) -> None:
    """Write ``report.html``, where it takes no time to speak of; a run does not fail of it."""
    if len(recorded.events) > _MOST_EVENTS_SHOWN:
        progress.note(f"no report of {len(recorded.events):,} events: crunchbed report {directory}")
        return
    try:
        make.write_run(
            Recorded(scenario.policy, scenario, recorded, result), directory / "report.html"
        )
    except CrunchbedError as error:
        progress.note(str(error))


def _execute(
    scenario: Scenario,
    seed: int,
    state: RunClaim,
    places: Places,
    recorder: Recorder,
    progress: Progress,
    held: Scenario | None,
    scraper: Scraper | None,
) -> None:
    """``held``: what the cluster is started for that is held open; None for an experiment."""
    recorder.record("phase", name="start")
    progress.phase("start", None)
    if scraper is not None:
        scraper.begin(places.out, signals.check)
    if (warning := sizing.shortage(scenario)) is not None:
        progress.note(warning)
    with RunningCluster(held or scenario, state, places, recorder, progress) as cluster:
        info = rundir.metadata(scenario, seed, state.run_id, cluster.switch)
        rundir.write_json(places.out / "run.json", info)
        recorder.record("run.info", **info)
        progress.watch(lambda: look(cluster.nodes))
        cluster.supervisor.require_health(HEALTHY_SECONDS)
        if scraper is not None:
            scraper.await_run(state.run_id, len(cluster.nodes), cluster.supervisor.wait_until)
        if held is not None:
            Hold(held, cluster, places, recorder, progress).run()
        else:
            _phase("control", scenario.phases.control, recorder, progress)
            cluster.supervisor.wait(scenario.phases.control / 1e9)
            _phase("inject", scenario.phases.inject, recorder, progress)
            _inject(scenario, seed, cluster, recorder)
        _phase("recovery", scenario.phases.recovery, recorder, progress)
        _recover(scenario, cluster, recorder, progress)
        if scenario.phases.after:
            _phase("after", scenario.phases.after, recorder, progress)
            cluster.supervisor.wait(scenario.phases.after / 1e9)
        _phase("collect", None, recorder, progress)
        _collect(scenario, places, cluster, recorder, scraper)
        recorder.record("phase", name="end")


def _collect(
    scenario: Scenario,
    places: Places,
    cluster: RunningCluster,
    recorder: Recorder,
    scraper: Scraper | None,
) -> None:
    collect.name_reserve_users(cluster.nodes)
    cluster.quiesce()
    collect.count_packets(cluster.nodes, cluster.controller)
    collect.verify_writes(scenario, places, cluster.supervisor, recorder)
    if scraper is not None:  # once more, with all that is known by now
        nodes = len(cluster.nodes)
        scraper.await_run(places.run_id, nodes, cluster.supervisor.wait_until, time.time())


def _phase(name: str, length_ns: int | None, recorder: Recorder, progress: Progress) -> None:
    recorder.record("phase", name=name)
    progress.phase(name, None if length_ns is None else length_ns / 1e9)


def _inject(scenario: Scenario, seed: int, cluster: RunningCluster, recorder: Recorder) -> None:
    """Crunch and do harm, and watch until the consequences had the time to show."""
    seconds = scenario.phases.inject / 1e9
    plan = draw(scenario, seed)
    faults = draw_faults(scenario, seed)
    if plan is None and not faults:
        cluster.supervisor.wait(seconds)
        return
    with injection(faults, cluster.world(), recorder) as injected:
        cluster.supervisor.cut_off_since = injected.cut_off_since
        crunch = None if plan is None else _crunch(plan, cluster, recorder)
        cluster.supervisor.wait_until(
            # Both are asked: the faults move on by being asked.
            lambda: all([injected.over(), crunch is None or crunch.over()]),
            seconds,
        )
    if crunch is not None:
        crunch.undo()
    cluster.supervisor.wait_until(injected.settled, _SETTLED_SECONDS)
    cluster.supervisor.wait(_AFTERMATH_DEADLINES * scenario.removal_ns / 1e9)


def _crunch(plan: Plan, cluster: RunningCluster, recorder: Recorder) -> Injection:
    crunch = Injection(plan, cluster.nodes[plan.target], recorder, cluster.start_helper)
    crunch.begin()
    return crunch


def _recover(
    scenario: Scenario, cluster: RunningCluster, recorder: Recorder, progress: Progress
) -> None:
    """Wait until the cluster is whole again; that it was not is a finding, not an error."""
    supervisor = cluster.supervisor
    healthy = supervisor.wait_until(
        lambda: supervisor.unhealthy() is None, scenario.phases.recovery / 1e9
    )
    reason = None if healthy else supervisor.unhealthy()
    recorder.record("recovery", healthy=healthy, reason=reason)
    if not healthy:
        progress.note(f"not recovered: {reason}")
