"""Figures of one phase of a run: before the fault, during it, and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crunchbed.checks import heartbeats, lateness, pressure, writes
from crunchbed.checks.figures import PhaseFigures
from crunchbed.checks.lives import overlap
from crunchbed.checks.membership import ejections
from crunchbed.history.history import History, Interval
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds
from reserve_agent.contract.events.writes import WriteAcknowledged, WriteFailed

PHASE_OF: Final[Mapping[str, str]] = {"before": "control", "during": "inject", "after": "after"}
"""The phase of the history behind each phase that an expectation can name."""


def phase_figures(history: History, scenario: Scenario) -> dict[str, PhaseFigures]:
    """Return the figures of ``before``, ``during`` and ``after``, as far as the run had them."""
    spans = {name: history.phase(phase) for name, phase in PHASE_OF.items()}
    return {
        name: _within(history, scenario, span) for name, span in spans.items() if span is not None
    }


def _within(history: History, scenario: Scenario, span: Interval) -> PhaseFigures:
    acks = history.during(WriteAcknowledged, span)
    latencies = sorted(ack.t - ack.submitted for ack in acks)
    stalls = [
        stall
        for node in scenario.node_names
        if (stall := writes.longest_stall_seconds(history, node, scenario.block_io.request, span))
        is not None
    ]
    pressed = [
        episode
        for node in scenario.node_names
        for episode in overlap(pressure.episodes(history, node), [span])
    ]
    ejected = [one for one in ejections(history) if one.t in span]
    return PhaseFigures(
        phase_seconds=seconds(span.length),
        heartbeats_sent=sum(heartbeats.sent(history, n, span) for n in scenario.node_names),
        heartbeats_missed=sum(miss.t in span for miss in heartbeats.misses(history)),
        nodes_ejected=len(ejected),
        false_ejections=sum(one.false for one in ejected),
        writes_acknowledged=len(acks),
        writes_per_second=len(acks) / seconds(span.length) if span.length else None,
        io_errors=len(history.during(WriteFailed, span)),
        **writes.latency_figures(latencies),
        io_longest_stall_seconds=max(stalls, default=None),
        **pressure.figures(pressed),
        testbed_late_seconds=lateness.longest_seconds(history, span=span),
    )
