"""From probes of the allocator to the floors of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crunchbed.calibrate.constant import Constant, share
from reserve_agent.model.profiles.kernel import Request

SLACK: Final = 1 / 64
"""Share of R that a probe may be off: interrupts ask for pages meanwhile, and a kernel's own steps
are rounded."""


@dataclass(frozen=True)
class Sweep:
    """What one sweep over all levels found, in pages of the largest zone.

    Attributes:
        reserve: The min watermark.
        step: Between two levels.
        highatomic: Pages that were set aside for GFP_ATOMIC of several pages, and that a kernel
            does not count as free for others.
        granted: Fewest free pages with which a request was granted; None: it never was.
        refused: Most free pages with which one was refused; None: it never was.
    """

    reserve: int
    step: int
    highatomic: int
    granted: dict[Request, int | None]
    refused: dict[Request, int | None]


def floors(sweeps: Sequence[Sweep]) -> list[Constant]:
    """Return the floors that the sweeps found; a sweep beside HIGHATOMIC blocks says nothing."""
    clean = [sweep for sweep in sweeps if not sweep.highatomic]
    found = []
    for request in Request:
        pairs = [pair for sweep in clean if (pair := _pair(sweep, request)) is not None]
        if pairs:
            key = f"kernel.floors.{request.name.lower()}"
            found.append(share(key, pairs, SLACK, "a probe of the allocator"))
    return found


def _pair(sweep: Sweep, request: Request) -> tuple[float, float] | None:
    """Return between which shares of R a floor lies: a request must leave it free.

    What was granted with the last page there was has its floor at 0, where no page is.
    """
    granted, refused = sweep.granted[request], sweep.refused[request]
    if granted is None or (refused is None and granted > sweep.step):
        return None
    ends = sorted((refused or 0, granted - 1))
    return ends[0] / sweep.reserve, ends[1] / sweep.reserve
