"""Cells of ``crunchbed agree`` while they are run: a line on stderr for each."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TextIO

from crunchbed.experiments.agreement.asked import Asked, Column
from crunchbed.experiments.agreement.cell import Cell
from crunchbed.report.progress import time_left
from crunchbed.scenario.schema import Scenario

_SIMULATED: float = 0.1
"""Seconds that a simulated second takes, until there is a run to tell."""


class AgreementProgress:
    """Implements ``crunchbed.experiments.agreement.runs.Watch``.

    What is left is told by the phases of the runs that are left, and by how long the runs of the
    same backend took for theirs.

    Args:
        cells: Number of all cells.
        runs: Those that are to be made.
        stream: Where lines go to; None: nowhere.
        clock: Seconds.
    """

    def __init__(
        self,
        cells: int,
        runs: Iterable[tuple[Asked, Column]],
        stream: TextIO | None = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cells = cells
        self._stream = stream
        self._clock = clock
        self._done = 0
        self._began = 0.0
        self._left: Counter[str] = Counter()  # microseconds of phases, by backend
        self._planned: Counter[str] = Counter()  # of the runs that were made
        self._took: Counter[str] = Counter()
        for asked, column in runs:
            self._left[column.backend] += _planned_us(asked.scenario)

    def begins(self, asked: Asked, column: Column) -> None:  # noqa: ARG002 - a protocol
        """A run begins."""
        self._began = self._clock()

    def ended(self, asked: Asked, column: Column) -> None:
        """The run that began last has ended."""
        backend, planned = column.backend, _planned_us(asked.scenario)
        self._took[backend] += round(1e6 * (self._clock() - self._began))
        self._planned[backend] += planned
        self._left[backend] -= planned

    def finished(self, cell: Cell) -> None:
        """A cell is known."""
        self._done += 1
        left = self.left_seconds
        told = f", {time_left(left)}" if left else ""
        flags = "+".join(cell.flags) or "none"
        name = f"{cell.scenario} {cell.policy} {flags} {cell.nic or ''} {cell.seed}"
        if self._stream is not None:
            self._stream.write(f"agree {self._done}/{self._cells} {name}: {cell.state}{told}\n")
            self._stream.flush()

    @property
    def left_seconds(self) -> float:
        """How long the runs that are left will take."""
        return sum(left * self._speed(backend) for backend, left in self._left.items()) / 1e6

    def _speed(self, backend: str) -> float:
        """How long a second of phases takes."""
        if self._planned[backend]:
            return self._took[backend] / self._planned[backend]
        return _SIMULATED if backend == "simulation" else 1.0


def _planned_us(scenario: Scenario) -> int:
    """Microseconds of the phases: they last at most this."""
    phases = scenario.phases
    return (phases.control + phases.inject + phases.recovery + phases.after) // 1000
