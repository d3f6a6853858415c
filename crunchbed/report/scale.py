"""A run's time scale: what its short times stand for on a cluster with the usual defaults."""

from __future__ import annotations

from crunchbed.scenario import detector
from crunchbed.scenario.schema import Scenario
from crunchbed.scenario.units import seconds


def corosync_token_seconds(nodes: int) -> float:
    """Return corosync's default token timeout: 3 s and 0.65 s for each node beyond two."""
    return 3 + 0.65 * max(0, nodes - 2)


def time_scale(scenario: Scenario, pressure_seconds: float) -> str:
    """Return the scenario's deadline beside corosync's, and the longest pressure at that scale."""
    deadline = seconds(scenario.deadline_ns)
    token = corosync_token_seconds(scenario.cluster.nodes)
    scale = token / deadline
    waited_for = "the token" if scenario.membership == "corosync" else "heartbeats"
    note = (
        f"time scale 1:{scale:.3g}: suspected after {deadline:g} s without {waited_for} here, "
        f"after {token:g} s by corosync's default token on {scenario.cluster.nodes} nodes"
    )
    if pressure_seconds:
        longest = f"{pressure_seconds:.3g} s of pressure"
        note += f"; at the defaults {longest} would be {pressure_seconds * scale:.3g} s"
    note += " (TCP's own timers do not scale)"
    return (
        note
        if scenario.membership == "corosync"
        else f"{note}; {detector.scale(scenario.detector, scenario.heartbeat.interval)}"
    )
