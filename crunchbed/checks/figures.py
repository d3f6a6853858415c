"""The public figures of a run: one name each, the same in results, expectations and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

CAUSES: Final = (
    "reserve_drop",
    "allocation_failure",
    "stalled_sender",
    "link",
    "partition",
    "loss",
    "fenced_peer",
    "testbed",
    "unknown",
)
"""Why a heartbeat was missed."""

Packets = dict[str, dict[str, dict[str, int]]]
"""Packets by class, verdict and reason."""


class PhaseFigures(BaseModel):
    """What was measured in one phase, over all nodes; None where nothing was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase_seconds: float
    heartbeats_sent: int
    heartbeats_missed: int
    nodes_ejected: int
    false_ejections: int
    writes_acknowledged: int
    writes_per_second: float | None
    io_errors: int
    io_p50_seconds: float | None
    io_p99_seconds: float | None
    io_longest_stall_seconds: float | None
    pressure_episodes: int
    pressure_seconds: float
    pressure_longest_seconds: float
    testbed_late_seconds: float | None = None

    def value(self, name: str) -> float | None:
        """Return the figure ``name``, which is one of ``PHASE_NAMES``."""
        found: float | None = getattr(self, name)
        return found


class Figures(BaseModel):
    """What was measured on one node, or on all of them; None where nothing was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heartbeats_sent: int = 0
    heartbeats_missed: int = 0
    misses_by_cause: dict[str, int] = dict.fromkeys(CAUSES, 0)
    nodes_ejected: int = 0
    false_ejections: int = 0
    true_ejections: int = 0
    detection_delay_seconds: float | None = None
    flaps: int = 0
    time_to_recover_seconds: float | None = None
    quorum_lost_seconds: float | None = None
    failovers: int = 0
    failover_seconds: float | None = None
    failover_longest_seconds: float | None = None
    writes_acknowledged: int = 0
    writes_lost: int | None = None
    io_errors: int = 0
    io_p50_seconds: float | None = None
    io_p99_seconds: float | None = None
    io_longest_stall_seconds: float | None = None
    path_restore_seconds: float | None = None
    rings_restore_seconds: float | None = None
    pressure_episodes: int = 0
    pressure_seconds: float = 0.0
    pressure_longest_seconds: float = 0.0
    reserve_pages: int | None = None
    reserve_low_water_pages: int | None = None
    switch_drops: int | None = None
    shed_episodes: int | None = None
    shed_too_late: int | None = None
    reaction_p50_seconds: float | None = None
    reaction_p99_seconds: float | None = None
    testbed_late_seconds: float | None = None
    switch_packets: dict[str, int] = {}
    packets: Packets = {}
    phases: Mapping[str, PhaseFigures] = {}

    def value(self, name: str) -> float | None:
        """Return the figure ``name``; None when it was not measured.

        One of ``NAMES``, or one of ``PHASE_NAMES`` behind a phase: ``after.io_p99_seconds``.
        """
        phase, _, figure = name.partition(".")
        if phase in PHASES:
            return self.phases[phase].value(figure) if phase in self.phases else None
        if name.startswith("misses_by_cause."):
            return self.misses_by_cause.get(name.removeprefix("misses_by_cause."), 0)
        found: float | None = getattr(self, name)
        return found


_NOT_NUMBERS: Final = ("misses_by_cause", "packets", "switch_packets", "phases")
NAMES: Final[tuple[str, ...]] = (
    *(name for name in Figures.model_fields if name not in _NOT_NUMBERS),
    *(f"misses_by_cause.{cause}" for cause in CAUSES),
)
"""Figures that an expectation may name."""

PHASES: Final = ("before", "during", "after")
"""Before the fault, while it lasts, and once the cluster is whole again."""

PHASE_NAMES: Final[tuple[str, ...]] = tuple(PhaseFigures.model_fields)
"""Figures that it may name of one phase."""
