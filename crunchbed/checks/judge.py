"""From a history to a verdict; pure, so that any run can be judged again on any machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from crunchbed.checks import (
    crunch,
    heartbeats,
    lateness,
    packets,
    paths,
    pressure,
    quorum,
    recovery,
    reserve,
    service,
    switch,
    validity,
    votes,
    writes,
)
from crunchbed.checks.causes import causes_by_observer
from crunchbed.checks.figures import CAUSES, Figures, PhaseFigures, added_up
from crunchbed.checks.membership import (
    Ejection,
    detection_delays,
    ejections,
    median_seconds,
)
from crunchbed.checks.result import Result, Verdict
from crunchbed.checks.split_brain import split_brains
from crunchbed.checks.steady import phase_figures
from crunchbed.expect import Outcome, evaluate, steady_outcomes
from crunchbed.expect.evaluate import applies_to
from crunchbed.history.history import History, no_collector
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.shed import OFF
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.guests import GuestReady
from reserve_agent.contract.events.run import RunInfo
from reserve_agent.contract.events.switches import ControllerReady
from reserve_agent.contract.events.writes import WriteFailed


@no_collector()
def judge(
    history: History, scenario: Scenario, failed: Callable[[Exception], object] = lambda _: None
) -> Result:
    """Compute every figure and the verdict of a run.

    A check that fails on what was recorded leaves the verdict ``unknown``, and no figures.

    Args:
        history: what was recorded; its ``run.info`` event has seed, backend and versions.
        scenario: as resolved for this run, with the policy and flags that were in force.
        failed: is told the error with which a check has failed.
    """
    incomplete: list[str] = []
    try:
        incomplete += validity.incomplete(history, scenario)
        return _judged(history, scenario, incomplete)
    except Exception as error:  # whatever was recorded, there is a verdict
        failed(error)
        reason = f"a check failed ({place_of(error)}: {error!r})"
        seeds = [one.seed for one in history.of(RunInfo) if isinstance(one.seed, int)]
        return Result.not_judged(scenario, next(iter(seeds), None), [*incomplete, reason])


def place_of(error: Exception) -> str:
    """Return the function that an error comes from."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else place.tb_frame.f_code.co_qualname


def _judged(history: History, scenario: Scenario, incomplete: list[str]) -> Result:
    nodes = _figures(history, scenario)
    totals = _totals(history, scenario, nodes, phase_figures(history, scenario))
    crunched = crunch.check(history, scenario)
    outcomes, verdict, reasons = _decide(
        history, scenario, totals, nodes, crunched.off_target, incomplete
    )
    info = next(iter(history.of(RunInfo)), RunInfo())
    return Result(
        scenario=scenario.name,
        policy=scenario.policy,
        flags=scenario.memalloc,
        seed=info.seed,
        backend=scenario.cluster.backend,
        switch=info.kind_of_switch or "unknown",
        kernel=next((one.kernel for one in history.of(GuestReady)), scenario.modelled),
        nic=scenario.nic,
        verdict=verdict,
        reasons=tuple(reasons),
        totals=totals,
        nodes=nodes,
        expectations=tuple(outcomes),
        duration_seconds=seconds(history.span.length),
        reserve_users={node: reserve.users(history, node) for node in scenario.node_names},
        crunch_requested=None if crunched.requested is None else dict(crunched.requested),
        crunch_achieved=None if crunched.achieved is None else dict(crunched.achieved),
        versions=dict(info.versions or {}),
    )


def _decide(
    history: History,
    scenario: Scenario,
    totals: Figures,
    nodes: dict[str, Figures],
    off_target: list[str],
    incomplete: list[str],
) -> tuple[list[Outcome], Verdict, list[str]]:
    """Return the outcome of every expectation, the verdict, and its reasons."""
    texts = [text for text in scenario.expect if applies_to(text, scenario.policy)]
    before, after = steady_outcomes(scenario.steady, scenario.policy, totals)
    own = evaluate(texts, {scenario.policy: totals}, {scenario.policy: nodes})
    outcomes = [*own, *before, *after]
    verdict, reasons = _verdict(
        incomplete=incomplete,
        invalid=[
            *validity.disturbed(history, scenario),
            *off_target,
            *(f"not steady before the fault: {reason}" for reason in _failed(before)),
        ],
        failed=[
            *_lost_writes(totals),
            *split_brains(history),
            *service.double_writers(history),
            *(votes.broken(history) if scenario.membership == "crunchbed" else ()),
            *_failed(one for one in outcomes if one not in before),
        ],
        unknown=[*_unverified(totals), *_undecided(outcomes)],
    )
    return outcomes, verdict, reasons


def _figures(history: History, scenario: Scenario) -> dict[str, Figures]:
    causes = causes_by_observer(history, scenario.heartbeat.interval)
    ejected: dict[str, list[Ejection]] = {}
    for one in ejections(history):
        ejected.setdefault(one.node, []).append(one)
    moved = service.failovers(history)
    names = scenario.node_names
    found: dict[str, Figures] = {}
    for node in names:
        latencies = writes.latencies_ns(history, node)
        counts = causes.get(node, Counter())
        found[node] = Figures(
            heartbeats_sent=heartbeats.sent(history, node),
            heartbeats_missed=heartbeats.missed(history, node),
            misses_by_cause={cause: counts[cause] for cause in CAUSES},
            **_ejected(history, names, node, ejected.get(node, [])),
            **_moves([one for one in moved if one.node == node]),
            writes_acknowledged=len(latencies),
            writes_lost=writes.lost(history, node),
            io_errors=len(history.of(WriteFailed, node)),
            **writes.latency_figures(latencies),
            io_longest_stall_seconds=writes.longest_stall_seconds(
                history, node, scenario.block_io.request
            ),
            path_restore_seconds=paths.path_restore_seconds(
                history, node, scenario.block_io.request
            ),
            rings_restore_seconds=paths.rings_restore_seconds(history, node),
            **pressure.figures(pressure.episodes(history, node)),
            reserve_pages=reserve.reserve_pages(history, node),
            reserve_low_water_pages=reserve.low_water_pages(history, node),
            memalloc_failures=reserve.memalloc_failures(history, node),
            **_at_the_switch(history, scenario, [node]),
            testbed_late_seconds=lateness.longest_seconds(history, node),
            packets=packets.packets(history, node),
        )
    return found


def _ejected(
    history: History, names: Sequence[str], node: str, ejected: list[Ejection]
) -> dict[str, Any]:
    """Return the figures of one node's ejections and of its return."""
    away = recovery.absences(history, node, names)
    return {
        "nodes_ejected": len(ejected),
        "false_ejections": sum(one.false for one in ejected),
        "true_ejections": sum(not one.false for one in ejected),
        "healthy_ejections": sum(
            one.false and pressure.had_memory(history, node, one.t) for one in ejected
        ),
        "detection_delay_seconds": median_seconds(detection_delays(ejected)),
        "flaps": recovery.flaps(away),
        "time_to_recover_seconds": recovery.time_to_recover_seconds(history, away),
    }


def _moves(found: list[service.Failover]) -> dict[str, Any]:
    """Return the figures of the block device's moves to another node."""
    lengths = [one.length_ns for one in found]
    return {
        "failovers": len(found),
        "failover_seconds": median_seconds(lengths),
        "failover_longest_seconds": max(lengths) / 1e9 if lengths else None,
    }


def _at_the_switch(history: History, scenario: Scenario, nodes: list[str]) -> dict[str, Any]:
    """Return the figures of switches with a controller; none without a controller."""
    if not history.of(ControllerReady):
        return {}
    found: dict[str, Any] = {
        "switch_packets": switch.packets(history, *nodes),
        "switch_drops": switch.drops(history, *nodes),
    }
    if scenario.shed.mode != OFF:
        found |= switch.figures([switch.shedding(history, node) for node in nodes])
    return found


def _totals(
    history: History,
    scenario: Scenario,
    nodes: dict[str, Figures],
    phases: dict[str, PhaseFigures],
) -> Figures:
    """Return the figures of all nodes: the sum of each, and what only the whole history says."""
    latencies = sorted(ns for node in nodes for ns in writes.latencies_ns(history, node))
    return Figures(
        **added_up(list(nodes.values())),
        **_moves(service.failovers(history)),
        detection_delay_seconds=median_seconds(detection_delays(ejections(history))),
        quorum_lost_seconds=quorum.lost_seconds(history, scenario),
        writes_lost=writes.lost(history),
        **writes.latency_figures(latencies),
        **_at_the_switch(history, scenario, list(nodes)),
        testbed_late_seconds=lateness.longest_seconds(history),
        packets=packets.added(one.packets for one in nodes.values()),
        phases=phases,
    )


def _verdict(
    *, incomplete: list[str], invalid: list[str], failed: list[str], unknown: list[str]
) -> tuple[Verdict, list[str]]:
    """Return the verdict and all reasons; a run that went wrong outweighs what it measured."""
    ranked: tuple[tuple[Verdict, list[str]], ...] = (
        ("unknown", incomplete),
        ("invalid", invalid),
        ("fail", failed),
        ("unknown", unknown),
    )
    verdict: Verdict = next((name for name, reasons in ranked if reasons), "pass")
    return verdict, [reason for _, reasons in ranked for reason in reasons]


def _lost_writes(totals: Figures) -> list[str]:
    return [f"{totals.writes_lost} acknowledged blocks were lost"] if totals.writes_lost else []


def _unverified(totals: Figures) -> list[str]:
    if totals.writes_lost is None and totals.writes_acknowledged:
        return ["the acknowledged writes were not verified"]
    return []


def _failed(outcomes: Iterable[Outcome]) -> list[str]:
    return [f"expected {one.text}, got {one.shown}" for one in outcomes if one.holds is False]


def _undecided(outcomes: list[Outcome]) -> list[str]:
    return [f"not known whether {one.text}: {one.shown}" for one in outcomes if one.holds is None]
