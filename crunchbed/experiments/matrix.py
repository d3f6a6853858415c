"""Policies crossed with other settings on the same seeds, each combination over all seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import Spread, runs_with, spreads_of
from crunchbed.scenario.detector import MODELS
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.packets import MEMALLOC_CLASSES

SETTINGS: dict[str, tuple[str, ...]] = {
    "none": (),
    **{name: (name,) for name in MEMALLOC_CLASSES},
    "both": MEMALLOC_CLASSES,
}
"""Classes whose sockets are memalloc, by the name of the setting."""

COROSYNC: Final = "corosync"
DETECTORS: Final = (*MODELS, COROSYNC)
"""Names that ``--detectors`` takes: the kinds of ``detector``, and corosync instead of one."""


class Axis(BaseModel, frozen=True):
    """What policies are crossed with."""

    name: str  # heading of the settings' column in a table
    figures: tuple[str, ...]  # figures that a table shows of each combination


FLAGS: Final = Axis(
    name="memalloc",
    figures=(
        "heartbeats_missed",
        "io_longest_stall_seconds",
        "pressure_seconds",
        "reserve_low_water_pages",
        "writes_lost",
    ),
)
BY_DETECTOR: Final = Axis(
    name="detector",
    figures=(
        "false_ejections",
        "true_ejections",
        "detection_delay_seconds",
        "heartbeats_missed",
    ),
)
BY_SHED: Final = Axis(
    name="shed",
    figures=(
        "heartbeats_missed",
        "reserve_low_water_pages",
        "shed_too_late",
        "reaction_p50_seconds",
        "reaction_p99_seconds",
        "switch_drops",
    ),
)


class Cell(BaseModel, frozen=True):
    """One policy with one setting, over all seeds."""

    policy: str
    setting: str  # name of the setting: of ``SETTINGS``, of ``DETECTORS``, or a mode of shedding
    runs: int
    valid: int
    ejected: int  # number of valid runs that ejected a live node
    figures: dict[str, Spread]  # median and range of other figures, by name


def cell(axis: Axis, policy: str, setting: str, results: Sequence[Result]) -> Cell:
    """Return the cell of one combination."""
    return Cell(
        policy=policy,
        setting=setting,
        runs=len(results),
        valid=sum(result.valid for result in results),
        ejected=runs_with(results, "false_ejections"),
        figures=spreads_of(results, axis.figures),
    )


def flags_of(setting: str) -> Mapping[str, Any]:
    """Return what a flag setting changes in a scenario, by dotted key."""
    return {"memalloc": list(SETTINGS[setting])}


def shed_of(setting: str) -> Mapping[str, Any]:
    """Return what a mode of shedding changes in a scenario, by dotted key.

    The controller runs also where nothing is shed, so that switches forward in the same way and
    runs differ in shedding alone.
    """
    return {"cluster.controller": "openflow", "shed.mode": setting}


def detector_of(scenario: Scenario, setting: str) -> Mapping[str, Any]:
    """Return what a detector changes in a scenario; the scenario's own keeps its parameters."""
    if setting == COROSYNC:
        return {"membership": COROSYNC}
    changes: dict[str, Any] = {"membership": "crunchbed"}
    if scenario.detector.kind != setting:
        changes["detector"] = {"kind": setting}
    return changes
