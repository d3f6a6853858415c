"""Policies crossed with other settings on the same seeds: what each combination saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from crunchbed.checks.result import Result
from crunchbed.experiments.comparison import Spread, runs_with, spreads_of
from crunchbed.scenario.detector import MODELS
from crunchbed.scenario.schema import Scenario
from reserve_agent.policies import MEMALLOC_CLASSES

SETTINGS: dict[str, tuple[str, ...]] = {
    "none": (),
    **{name: (name,) for name in MEMALLOC_CLASSES},
    "both": MEMALLOC_CLASSES,
}
"""Names of the flag settings, and the classes whose sockets are memalloc in each."""

COROSYNC: Final = "corosync"
DETECTORS: Final = (*MODELS, COROSYNC)
"""What ``--detectors`` names: the kinds of ``detector``, and corosync in their place."""


class Axis(BaseModel):
    """What policies are crossed with.

    Attributes:
        name: What its settings are called in a table.
        figures: What is shown of each combination.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    figures: tuple[str, ...]


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


class Cell(BaseModel):
    """One policy with one setting, over all seeds.

    Attributes:
        policy: As in the scenario.
        setting: A name of ``SETTINGS``, of ``DETECTORS``, or a way to shed.
        runs: How many were made, and
        valid: how many of them say something.
        ejected: In how many valid runs a live node was ejected.
        figures: Median and range of other figures, by result name.
    """

    model_config = ConfigDict(frozen=True)

    policy: str
    setting: str
    runs: int
    valid: int
    ejected: int
    figures: dict[str, Spread]


def cell(axis: Axis, policy: str, setting: str, results: Sequence[Result]) -> Cell:
    """Sum up the runs of one combination."""
    return Cell(
        policy=policy,
        setting=setting,
        runs=len(results),
        valid=sum(result.valid for result in results),
        ejected=runs_with(results, "false_ejections"),
        figures=spreads_of(results, axis.figures),
    )


def flags_of(setting: str) -> Mapping[str, Any]:
    """What a flag setting changes in a scenario."""
    return {"memalloc": list(SETTINGS[setting])}


def shed_of(setting: str) -> Mapping[str, Any]:
    """What a way to shed changes; the controller is there also where nothing is shed.

    So the switches forward alike, and the shedding is all that differs.
    """
    return {"cluster.controller": "openflow", "shed.mode": setting}


def detector_of(scenario: Scenario, setting: str) -> Mapping[str, Any]:
    """What the choice of a detector changes; one that is chosen already keeps its parameters."""
    if setting == COROSYNC:
        return {"membership": COROSYNC}
    changes: dict[str, Any] = {"membership": "crunchbed"}
    if scenario.detector.kind != setting:
        changes["detector"] = {"kind": setting}
    return changes
