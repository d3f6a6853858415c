"""Which way a figure gets worse, and by how much it must to matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crunchbed.experiments.stats.interval import Centre

TOLERANCE: Final = 0.25
"""Share of the baseline's middle that a figure may get worse by before anybody is told."""


@dataclass(frozen=True)
class Kind:
    """How a figure is judged.

    Attributes:
        sign: 1 where more is worse, -1 where less is.
        centre: What is compared over the seeds.
        floor: What it may get worse by whatever the baseline is, in its unit: what a testbed that
            shares its processors adds or takes by itself.
        never: A single run worse than all of the baseline's is a regression.
    """

    sign: int
    centre: Centre
    floor: float
    never: bool = False


TIME: Final = Kind(1, "median", 0.010)  # agents look every 10 ms
"""How a time is judged."""
_HAPPENED: Final = Kind(1, "mean", 0)
_KINDS: Final = {
    "heartbeats_missed": Kind(1, "mean", 1),
    "nodes_ejected": _HAPPENED,
    "false_ejections": _HAPPENED,
    "flaps": _HAPPENED,
    "failovers": _HAPPENED,
    "io_errors": _HAPPENED,
    "writes_lost": Kind(1, "mean", 0, never=True),
    "reserve_low_water_pages": Kind(-1, "median", 8),
}
LATENESS: Final = "testbed_late_seconds"
"""How late ordinary processes of the testbed woke at most: no figure of what is tested."""

_NOT_JUDGED: Final = ("phase_seconds", LATENESS)


def kind_of(figure: str) -> Kind | None:
    """Return how a figure is judged; None where neither more nor less of it is worse."""
    *_, name = figure.split(".")
    if figure.startswith("misses_by_cause.") or name in _NOT_JUDGED:
        return None
    if name in _KINDS:
        return _KINDS[name]
    if name.endswith("_per_second"):
        return Kind(-1, "median", 0)
    return TIME if name.endswith("_seconds") else None


def is_never(figure: str) -> bool:
    """Whether a single run worse than all of the baseline's is a regression by itself."""
    kind = kind_of(figure)
    return kind is not None and kind.never


def margin(
    kind: Kind, baseline: Sequence[float], middle: float, tolerance: float, late: float = 0.0
) -> float:
    """Return how much worse is still no regression, in the figure's unit.

    The largest of the kind's floor, of ``tolerance`` times the baseline's ``middle``, and, of what
    is measured rather than counted, of how much worse than that the baseline's own worst run was.
    Of a time, twice ``late`` too, by which the testbed's own processes were late meanwhile, in
    seconds: a write waits for two of them, its target and its initiator.
    """
    allowed = max(kind.floor, tolerance * abs(middle))
    if kind == TIME:
        allowed = max(allowed, 2 * late)
    if kind.centre == "mean":
        return allowed
    return max(allowed, max(kind.sign * value for value in baseline) - kind.sign * middle)
