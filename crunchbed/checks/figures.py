"""The public figures of a run: one name each, the same in results, expectations and tables.

Whatever else is known of a figure stands beside its field, as a ``Spec``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

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


@dataclass(frozen=True)
class Worse:
    """When runs are worse than others by a figure.

    Attributes:
        sign: 1 where more is worse, -1 where less is.
        centre: What is compared over the seeds: the median; or the mean, for what happens rarely.
        floor: How much worse is no regression whatever the baseline is, in the figure's unit: what
            a testbed that shares its processors adds or takes by itself.
        late: Whether a busy machine makes the figure worse, by up to twice its lateness.
        never: Whether one run that is worse than every run of the baseline is a regression.
    """

    sign: Literal[1, -1]
    centre: Literal["median", "mean"]
    floor: float
    late: bool = False
    never: bool = False


TIME: Final = Worse(1, "median", floor=0.010, late=True)  # agents look every 10 ms
RARE: Final = Worse(1, "mean", floor=0)


@dataclass(frozen=True)
class Spec:
    """What is known of a figure, whatever its value.

    Attributes:
        unit: ``s``, ``1/s`` or ``pages`` of 4 KiB; empty for a number of things.
        total: What the figure of all nodes is of the figures of those nodes that have one; None
            where it is computed from the history instead.
        worse: When runs are worse by it; None where neither more nor less is worse.
        outcome: Whether the nodes decide it; not what a scenario sets, which compares to nothing.
        row: When a table has a row for it: ``always``; where it was ``measured``; where it
            ``happened``, which is to be above 0.
        runs_with: What runs are called in which it is above 0.
    """

    unit: Literal["", "s", "1/s", "pages"] = ""
    total: Literal["sum", "sum by key", "max", "min"] | None = None
    worse: Worse | None = None
    outcome: bool = True
    row: Literal["always", "measured", "happened"] = "always"
    runs_with: str = ""

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return self.unit in ("", "pages")


class PhaseFigures(BaseModel):
    """What was measured in one phase, over all nodes; None where nothing was measured.

    A figure that ``Figures`` has too is specified there.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    phase_seconds: Annotated[float, Spec("s")]
    heartbeats_sent: int
    heartbeats_missed: int
    nodes_ejected: int
    false_ejections: int
    writes_acknowledged: int
    writes_per_second: Annotated[float | None, Spec("1/s", worse=Worse(-1, "median", floor=0))]
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

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    heartbeats_sent: Annotated[int, Spec(total="sum", outcome=False)] = 0
    heartbeats_missed: Annotated[
        int,
        Spec(
            total="sum",
            worse=Worse(1, "mean", floor=1),
            runs_with="runs that missed a heartbeat",
        ),
    ] = 0
    misses_by_cause: Annotated[dict[str, int], Spec(total="sum by key", row="happened")] = (
        dict.fromkeys(CAUSES, 0)
    )
    nodes_ejected: Annotated[
        int, Spec(total="sum", worse=RARE, runs_with="runs that ejected a node")
    ] = 0
    false_ejections: Annotated[
        int, Spec(total="sum", worse=RARE, runs_with="runs that ejected a node that was alive")
    ] = 0
    true_ejections: Annotated[int, Spec(total="sum")] = 0
    healthy_ejections: Annotated[
        int,
        Spec(
            total="sum",
            worse=RARE,
            row="happened",
            runs_with="runs that ejected a node that was alive and not short of memory",
        ),
    ] = 0
    detection_delay_seconds: Annotated[float | None, Spec("s", worse=TIME)] = None
    flaps: Annotated[int, Spec(total="sum", worse=RARE)] = 0
    time_to_recover_seconds: Annotated[float | None, Spec("s", total="max", worse=TIME)] = None
    quorum_lost_seconds: Annotated[float | None, Spec("s", worse=TIME)] = None
    failovers: Annotated[int, Spec(worse=RARE, row="happened")] = 0
    failover_seconds: Annotated[float | None, Spec("s", worse=TIME, row="happened")] = None
    failover_longest_seconds: Annotated[float | None, Spec("s", worse=TIME, row="happened")] = None
    writes_acknowledged: Annotated[int, Spec(total="sum")] = 0
    writes_lost: Annotated[
        int | None,
        Spec(
            worse=Worse(1, "mean", floor=0, never=True),
            runs_with="runs that lost an acknowledged write",
        ),
    ] = None
    io_errors: Annotated[int, Spec(total="sum", worse=RARE, runs_with="runs with an I/O error")] = 0
    io_p50_seconds: Annotated[float | None, Spec("s", worse=TIME)] = None
    io_p99_seconds: Annotated[float | None, Spec("s", worse=TIME)] = None
    io_longest_stall_seconds: Annotated[float | None, Spec("s", total="max", worse=TIME)] = None
    path_restore_seconds: Annotated[
        float | None, Spec("s", total="max", worse=TIME, row="measured")
    ] = None
    rings_restore_seconds: Annotated[
        float | None, Spec("s", total="max", worse=TIME, row="measured")
    ] = None
    pressure_episodes: Annotated[int, Spec(total="sum")] = 0
    pressure_seconds: Annotated[float, Spec("s", total="sum", worse=TIME)] = 0.0
    pressure_longest_seconds: Annotated[float, Spec("s", total="max", worse=TIME)] = 0.0
    reserve_pages: Annotated[int | None, Spec("pages", total="max", outcome=False)] = None
    reserve_low_water_pages: Annotated[
        int | None, Spec("pages", total="min", worse=Worse(-1, "median", floor=8))
    ] = None
    memalloc_failures: Annotated[
        int | None,
        Spec(
            total="sum",
            worse=RARE,
            row="measured",
            runs_with="runs in which a memalloc request found no page",
        ),
    ] = None
    switch_drops: Annotated[int | None, Spec(row="measured")] = None
    shed_episodes: Annotated[int | None, Spec(row="measured")] = None
    shed_too_late: Annotated[int | None, Spec(row="measured")] = None
    reaction_p50_seconds: Annotated[float | None, Spec("s", worse=TIME, row="measured")] = None
    reaction_p99_seconds: Annotated[float | None, Spec("s", worse=TIME, row="measured")] = None
    testbed_late_seconds: Annotated[float | None, Spec("s")] = None
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


_SPECS: Final[Mapping[str, Spec]] = {
    name: spec
    for model in (PhaseFigures, Figures)
    for name, field in model.model_fields.items()
    for spec in [*field.metadata, Spec()][:1]
}
_NOT_NUMBERS: Final = ("misses_by_cause", "packets", "switch_packets", "phases")
NAMES: Final[tuple[str, ...]] = (
    *(name for name in Figures.model_fields if name not in _NOT_NUMBERS),
    *(f"misses_by_cause.{cause}" for cause in CAUSES),
)
"""Figures that an expectation may name."""

PHASES: Final = ("before", "during", "after")
"""Before the fault, while it lasts, and once the cluster is whole again."""

PHASE_NAMES: Final[tuple[str, ...]] = tuple(PhaseFigures.model_fields)
"""Figures that an expectation may name of one phase."""

ALL_NAMES: Final = (*NAMES, *(f"{phase}.{name}" for phase in PHASES for name in PHASE_NAMES))
"""Every name that ``Figures.value`` knows."""


def spec_of(name: str) -> Spec:
    """Return what is known of a figure: of one of ``ALL_NAMES``, or of another field.

    Raises:
        KeyError: There is no such figure.
    """
    head, _, tail = name.partition(".")
    return _SPECS[tail if head in PHASES else head]


_TOTALS: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "sum": lambda each: sum(each) if each else None,
    "sum by key": lambda each: {key: sum(one[key] for one in each) for key in each[0]},
    "max": lambda each: max(each, default=None),
    "min": lambda each: min(each, default=None),
}


def added_up(nodes: Sequence[Figures]) -> dict[str, Any]:
    """Return the figures of all nodes that follow from the figures of each of them.

    Args:
        nodes: The figures of every node, at least one.
    """
    found = {}
    for name in Figures.model_fields:
        how = _SPECS[name].total
        if how is not None:
            each = [value for node in nodes if (value := getattr(node, name)) is not None]
            found[name] = _TOTALS[how](each)
    return found
