"""A sweep as a picture: the share of runs in which something happened, over two of its keys.

Drawn for people who see no colours as well: each field says its count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crunchbed.checks.result import Result
from crunchbed.sweep.table import Run, values_of, where
from reserve_agent.errors import CrunchbedError

_FIELD_INCHES = (0.72, 0.46)
_MARGIN_INCHES = (1.6, 1.5)


@dataclass(frozen=True)
class Layout:
    """Which key goes where; None: not split by any.

    Attributes:
        x: To the right, and
        y: upwards, in each panel.
        panel: One panel for each value, side by side.
        row: One row of panels for each value.
    """

    x: str
    y: str
    panel: str | None = None
    row: str | None = None


def draw(runs: Sequence[Run], layout: Layout, figure: str, title: str, path: Path) -> None:
    """Draw the share of valid runs with ``figure`` above 0; PNG, SVG or PDF by the file's name.

    Raises:
        BadInput: A key was not varied.
        CrunchbedError: The file cannot be written.
    """
    xs, ys = values_of(runs, layout.x), values_of(runs, layout.y)
    panels, rows = values_of(runs, layout.panel), values_of(runs, layout.row)
    width = len(panels) * len(xs) * _FIELD_INCHES[0] + _MARGIN_INCHES[0]
    height = len(rows) * (len(ys) * _FIELD_INCHES[1] + 0.75) + _MARGIN_INCHES[1]
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "crunchbed"}):
        drawing = Figure(figsize=(width, height), layout="constrained")
        axes = drawing.subplots(len(rows), len(panels), squeeze=False, sharex=True, sharey=True)
        for line, row in enumerate(rows):
            for column, panel in enumerate(panels):
                one = axes[line][column]
                fixed = {layout.panel or "": panel, layout.row or "": row}
                counts = [
                    [_count(where(runs, {**fixed, layout.x: x, layout.y: y}), figure) for x in xs]
                    for y in ys
                ]
                _panel(one, counts)
                one.set_xticks(range(len(xs)), xs, rotation=45, ha="right")
                one.set_yticks(range(len(ys)), ys)
                one.set_title(_heading(layout, panel, row))
        drawing.supxlabel(layout.x)
        drawing.supylabel(layout.y)
        drawing.suptitle(title)
        try:
            drawing.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})
        except (OSError, ValueError) as error:
            raise CrunchbedError(f"{path}: cannot be drawn: {error}") from error


def _count(results: Sequence[Result], figure: str) -> tuple[int, int]:
    values = [result.totals.value(figure) for result in results]
    known = [value for value in values if value is not None]
    return sum(value > 0 for value in known), len(known)


def _panel(axes: Axes, counts: Sequence[Sequence[tuple[int, int]]]) -> None:
    shares = [[hits / runs if runs else float("nan") for hits, runs in row] for row in counts]
    axes.imshow(shares, vmin=0, vmax=1, cmap="OrRd", aspect="auto", origin="lower")
    for y, row in enumerate(counts):
        for x, (hits, runs) in enumerate(row):
            text = f"{hits}/{runs}" if runs else "-"
            dark = runs > 0 and hits / runs > 0.6
            axes.text(x, y, text, ha="center", va="center", color="white" if dark else "black")


def _heading(layout: Layout, panel: str, row: str) -> str:
    words = [panel] if layout.panel else []
    words += [f"{layout.row} {row}"] if layout.row else []
    return ", ".join(words)
