"""A sweep as a picture: the share of runs in which something happened, over two keys.

It serves people who see no colours too: each field has its count as text, and colours differ in
lightness.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from crunchbed.checks.figures import spec_of
from crunchbed.checks.result import measured
from crunchbed.experiments.sweep.folder import Run, values_of, where
from reserve_agent.errors import CrunchbedError

_KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "crunch.length": ("crunch length", "how long no page is free"),
    "crunch.depth": ("crunch depth", "share of the reserve that is gone"),
    "crunch.count": ("crunch count", "windows"),
    "crunch.share": ("share of nodes", "crunched at once"),
    "crunch.apart": ("time apart", "from one node to the next"),
    "crunch.every": ("crunch period", "from one window to the next"),
    "crunch.pages": ("crunch size", "pages of 4 KiB that tasks want"),
    "crunch.duration": ("crunch length", "how long packets come"),
    "memory.reserve": ("reserve", "pages of 4 KiB"),
    "memory.pages": ("memory", "pages of 4 KiB"),
    "heartbeat.interval": ("heartbeat interval", "from one to the next"),
    "heartbeat.misses": ("misses until suspected", "heartbeats"),
    "block_io.queue_depth": ("queue depth", "writes in flight"),
    "block_io.request": ("request size", "of a write"),
    "block_io.dirty_rate": ("steady writing", "pages of 4 KiB a second"),
    "traffic.rate": ("other traffic", "packets a second"),
    "cluster.nodes": ("cluster size", "nodes"),
    "detector.kind": ("detector", ""),
    "memory.nic": ("card", ""),
    "policy": ("policy", ""),
}
"""Name of a key, and its unit or meaning."""

_SAID_ALONE: Final = ("policy", "detector.kind", "memory.nic")
"""Keys whose values say what they are of."""
_UNITS: Final[Mapping[str, str]] = {"memory.reserve": "pages", "memory.pages": "pages"}
_QUANTITY: Final = re.compile(r"([0-9.]+)([A-Za-z]+)")

_FIELD_INCHES: Final = (0.42, 0.34)
_LEAST_PANEL_INCHES: Final = 0.95  # room for the name of a policy
_LEAST_WIDTH_INCHES: Final = 5.0
_MARGIN_INCHES: Final = (2.0, 1.6)
_LETTER_SHARE: Final = 0.6  # width of a letter as a share of its height
_TICK_POINTS: Final = 9
_COLOURS: Final = "OrRd"
_STYLE: Final[dict[Any, Any]] = {
    "font.size": _TICK_POINTS,
    "axes.titlesize": 10,
    "hatch.color": "#b0b0b0",
    "svg.hashsalt": "crunchbed",
}

Counts = Sequence[Sequence[tuple[int, int]]]
"""Runs in which it happened, and valid runs, by y and x."""


def axis_label(key: str) -> str:
    """Return what a key is called, with its unit; the key itself where it has no other name."""
    name, unit = _KEYS.get(key, (key, ""))
    return f"{name} ({unit})" if unit else name


def value_label(value: str) -> str:
    """Return a value with a space before its unit: ``300ms`` is 300 ms."""
    found = _QUANTITY.fullmatch(value)
    if found is None:
        return value
    unit = {"us": "\N{MICRO SIGN}s"}.get(found[2], found[2])
    return f"{found[1]} {unit}"


def panel_title(key: str, value: str) -> str:
    """Return what a panel shows: a name alone, such as that of a policy, else key and value."""
    if key in _SAID_ALONE:
        return value
    name, _ = _KEYS.get(key, (key, ""))
    unit = _UNITS.get(key, "") if value.isdigit() else ""
    return f"{name} {value_label(value)} {unit}".rstrip()


def runs_with(figure: str) -> str:
    """Return what the runs are called in which a figure is above 0."""
    return spec_of(figure).runs_with or f"runs with {figure} above 0"


@dataclass(frozen=True)
class Layout:
    """Which key goes where."""

    x: str  # the key whose values go to the right in each panel
    y: str  # the key whose values go upwards in each panel
    panel: str | None = None  # the key with a panel for each value, side by side; None: one panel
    row: str | None = None  # the key with a row of panels for each value; None: one row
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)  # order of words, by key

    def values(self, runs: Sequence[Run], key: str | None) -> list[str]:
        """Return the values of a key in the order in which they are drawn."""
        return values_of(runs, key, self.asked.get(key or "", ()))


def draw(runs: Sequence[Run], layout: Layout, figure: str, name: str, path: Path) -> None:
    """Draw the share of valid runs with ``figure`` above 0: PNG, SVG or PDF by ``path``.

    ``name`` is the scenario's. BadInput: a key was not varied. CrunchbedError: it cannot be
    written.
    """
    with mpl.rc_context(_STYLE):
        drawing = _drawing(runs, layout, figure, name)
        try:
            drawing.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else {})
        except (OSError, ValueError) as error:
            raise CrunchbedError(f"{path}: cannot be drawn: {error}") from error


def _drawing(runs: Sequence[Run], layout: Layout, figure: str, name: str) -> Figure:
    xs, ys = layout.values(runs, layout.x), layout.values(runs, layout.y)
    panels, rows = layout.values(runs, layout.panel), layout.values(runs, layout.row)
    width = len(panels) * max(len(xs) * _FIELD_INCHES[0], _LEAST_PANEL_INCHES) + _MARGIN_INCHES[0]
    width = max(width, _LEAST_WIDTH_INCHES)
    height = len(rows) * (len(ys) * _FIELD_INCHES[1] + 0.3) + _MARGIN_INCHES[1]
    room = (width - _MARGIN_INCHES[0]) / len(panels) / len(xs)
    drawing = Figure(figsize=(width, height), layout="constrained")
    axes = drawing.subplots(len(rows), len(panels), squeeze=False, sharex=True, sharey=True)
    for line, row in enumerate(rows):
        for column, panel in enumerate(panels):
            one = axes[line][column]
            fixed = {layout.panel or "": panel, layout.row or "": row}
            fields = [[{**fixed, layout.x: x, layout.y: y} for x in xs] for y in ys]
            _panel(one, [[_count(runs, wanted, figure) for wanted in row] for row in fields])
            _ticks(one, xs, ys, room)
            if layout.panel and line == 0:
                one.set_title(panel_title(layout.panel, panel), fontweight="bold")
        if layout.row:
            last = axes[line][-1]
            last.yaxis.set_label_position("right")
            last.set_ylabel(panel_title(layout.row, row), rotation=270, va="bottom")
    drawing.supxlabel(_wrapped(axis_label(layout.x), width, 10), fontsize=10)
    drawing.supylabel(
        _wrapped(axis_label(layout.y), height - _MARGIN_INCHES[1] / 2, 10), fontsize=10
    )
    title = f"{name}: {runs_with(figure)}, of valid runs"
    drawing.suptitle(_wrapped(title, width, 11), fontsize=11)
    bar = drawing.colorbar(
        ScalarMappable(Normalize(0, 1), _COLOURS),
        ax=axes,
        aspect=max(12, 6 * height),
        shrink=min(1.0, 2.5 / height),
        format=PercentFormatter(1.0),
    )
    bar.set_label("share of valid runs")
    return drawing


def _wrapped(text: str, inches: float, points: float) -> str:
    """Return text in lines that are at most so many inches wide, in letters of so many points."""
    return textwrap.fill(text, max(8, int(inches / (points * _LETTER_SHARE / 72))))


def _ticks(axes: Axes, xs: Sequence[str], ys: Sequence[str], room: float) -> None:
    """Name the columns, each of which is ``room`` inches wide, and the rows."""
    across, up = ([value_label(one) for one in values] for values in (xs, ys))
    if max(map(len, across)) * _TICK_POINTS * _LETTER_SHARE / 72 > room:
        axes.set_xticks(range(len(xs)), across, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(xs)), across)
    axes.set_yticks(range(len(ys)), up)
    axes.tick_params(length=0)


def _count(runs: Sequence[Run], wanted: Mapping[str, str], figure: str) -> tuple[int, int]:
    """How many runs with the wanted values have a figure above 0, and how many measured it."""
    known = measured(where(runs, wanted), figure)
    return sum(value > 0 for value in known), len(known)


def _panel(axes: Axes, counts: Counts) -> None:
    shares = [[hits / runs if runs else float("nan") for hits, runs in row] for row in counts]
    axes.imshow(shares, vmin=0, vmax=1, cmap=_COLOURS, aspect="auto", origin="lower")
    for y, row in enumerate(counts):
        for x, (hits, runs) in enumerate(row):
            if not runs:
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, hatch="////", fill=False, lw=0))
            dark = runs > 0 and hits / runs > 0.7
            axes.text(
                x,
                y,
                f"{hits}/{runs}" if runs else "\N{EN DASH}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    for place in range(1, len(counts)):
        axes.axhline(place - 0.5, color="white", linewidth=1)
    for place in range(1, len(counts[0])):
        axes.axvline(place - 0.5, color="white", linewidth=1)
