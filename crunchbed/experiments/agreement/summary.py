"""How many cells two backends agree in, and in which figures they do not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel

from crunchbed.experiments.agreement.cell import OUTCOME, Cell, Figure, Pair


class PairSummary(BaseModel, frozen=True):
    """Two backends over all cells that both have run.

    Attributes:
        first, other: The backends; the second is held against the first.
        cells: Cells that both have run, and
        unknown: those of them in which a run is not valid.
        agree: Cells that agree in everything.
        same_outcome: Cells with the same verdict and the same ejected nodes.
        differing: Number of known cells that differ in a figure by more than is allowed.
    """

    first: str
    other: str
    cells: int
    unknown: int
    agree: int
    same_outcome: int
    differing: dict[Figure, int]

    @property
    def known(self) -> int:
        """Cells whose runs are valid on both."""
        return self.cells - self.unknown


def summaries(cells: Sequence[Cell]) -> list[PairSummary]:
    """Return a summary for each two backends that were held against each other."""
    pairs: dict[tuple[str, str], list[Pair]] = {}
    for cell in cells:
        for pair in cell.pairs:
            pairs.setdefault((pair.first.backend, pair.other.backend), []).append(pair)
    return [_summary(first, other, found) for (first, other), found in pairs.items()]


def _summary(first: str, other: str, pairs: Sequence[Pair]) -> PairSummary:
    known = [pair for pair in pairs if pair.state != "unknown"]
    differing = Counter(one.figure for pair in known for one in pair.differences)
    return PairSummary(
        first=first,
        other=other,
        cells=len(pairs),
        unknown=len(pairs) - len(known),
        agree=sum(pair.state == "agree" for pair in known),
        same_outcome=sum(
            OUTCOME.isdisjoint(one.figure for one in pair.differences) for pair in known
        ),
        differing={figure: differing[figure] for figure in get_args(Figure)},
    )
