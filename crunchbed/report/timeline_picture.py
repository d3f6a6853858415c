"""The picture of a comparison: a row of panels for each run, all on one time axis.

Only ``draw`` imports matplotlib: that takes as long as to import the rest of the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crunchbed.history.history import History
from crunchbed.report.node_timeline import BIN_SECONDS, LEAD_SECONDS, NodeTimeline, node_timeline
from reserve_agent.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people tell apart; marks differ in shape too.
_BLUE, _GREEN, _VERMILION, _ORANGE = "#0072B2", "#009E73", "#D55E00", "#E69F00"
_INK, _FAINT, _AFTER = "#222222", "#777777", "#efefef"
_HATCHED: Final[dict[str, Any]] = {
    "facecolor": "#d9d9d9",
    "edgecolor": "white",
    "hatch": "////",
    "linewidth": 0,
}

_WIDTH_INCHES: Final = 11.0
_ROW_INCHES: Final = 1.75
_FRAME_INCHES: Final = 1.45
_DOTS_PER_INCH: Final = 130
_MOST_OBSERVERS_NAMED: Final = 8


class Row(NamedTuple):
    """One run, and its label, such as its policy."""

    label: str
    history: History


def draw(rows: Sequence[Row], title: str, path: Path) -> None:
    """Draw one run or more below each other, as PNG; BadInput where it cannot be written."""
    from matplotlib.figure import Figure

    traces = [node_timeline(row.history) for row in rows]
    height = _FRAME_INCHES + _ROW_INCHES * len(rows)
    figure = Figure(figsize=(_WIDTH_INCHES, height), facecolor="white")
    grid: list[list[Axes]] = figure.subplots(len(rows), 3, sharex=True, squeeze=False).tolist()
    for row, one, panels in zip(rows, traces, grid, strict=True):
        _draw_free(panels[0], one)
        _draw_written(panels[1], one)
        _draw_missed(panels[2], one)
        for panel in panels:
            _draw_background(panel, one)
        _name_row(panels[0], row.label, one)
    _scale(grid, traces)
    _finish(figure, grid, traces, title)
    save(figure, path, _DOTS_PER_INCH)


def save(figure: Figure, path: Path, dots_per_inch: int) -> None:
    """Write a figure as PNG, in a directory that may be new; BadInput where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=dots_per_inch, metadata={"Software": None})
    except OSError as error:
        raise BadInput(f"{path}: cannot write the picture ({error.strerror})") from error


def _name_row(panel: Axes, label: str, one: NodeTimeline) -> None:
    """Write the row's label, and its pressure in figures: bands of microseconds look too wide."""
    seconds = sum(end - begin for begin, end in one.pressure)
    pressure = f"{len(one.pressure)} x, {seconds:.3g} s of pressure" if seconds else "no pressure"
    styles: tuple[tuple[str, int, dict[str, Any]], ...] = (
        (label, 80, {"fontsize": 11, "fontweight": "bold", "color": _INK}),
        (pressure, 65, {"fontsize": 8, "color": _FAINT}),
    )
    for text, left, style in styles:
        panel.annotate(
            text,
            (0, 0.5),
            xytext=(-left, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="center",
            **style,
        )


def _draw_free(panel: Axes, one: NodeTimeline) -> None:
    for life in one.free:
        panel.plot([t for t, _ in life], [pages for _, pages in life], color=_BLUE, linewidth=1.5)
    panel.axhline(one.reserve, color=_INK, linewidth=0.9, linestyle=(0, (4, 2)))


def _draw_written(panel: Axes, one: NodeTimeline) -> None:
    edges = [index * BIN_SECONDS - LEAD_SECONDS for index in range(len(one.written) + 1)]
    panel.stairs(one.written, edges, color=_GREEN, linewidth=1.5, baseline=None)


def _draw_missed(panel: Axes, one: NodeTimeline) -> None:
    observers = list(one.missed)
    length = min(16.0, 90.0 / max(1, len(observers)))
    for place, deadlines in enumerate(one.missed.values()):
        places = [place] * len(deadlines)
        panel.plot(deadlines, places, "|", color=_VERMILION, markersize=length, markeredgewidth=1.6)
    step = -(-len(observers) // _MOST_OBSERVERS_NAMED) or 1
    panel.set_yticks(range(0, len(observers), step), observers[::step])
    panel.set_ylim(len(observers) - 0.4, -0.6)
    if not any(one.missed.values()):
        panel.text(
            *(0.5, 0.5, "none missed"),
            transform=panel.transAxes,
            ha="center",
            va="center",
            color=_FAINT,
            fontsize=10,
            zorder=4,
        )


def _draw_background(panel: Axes, one: NodeTimeline) -> None:
    """Draw what is the same in every panel of a row: pressure, downtime, ejections, boots."""
    for begin, end in one.pressure:
        # The outline keeps an episode of microseconds visible.
        panel.axvspan(begin, end, color=_ORANGE, alpha=0.3, linewidth=0.4, zorder=0)
    for begin, end in one.down:
        panel.axvspan(begin, end, **_HATCHED, zorder=0)
    top = panel.get_xaxis_transform()
    for times, mark in ((one.ejected, "v"), (one.boots, "^")):
        for t in times:
            panel.axvline(t, color=_INK, linewidth=0.9)
        panel.plot(
            *(times, [1.0] * len(times), mark),
            transform=top,
            color=_INK,
            markersize=7,
            clip_on=False,
            zorder=5,
        )
    panel.tick_params(labelsize=9, color=_FAINT, labelcolor=_INK)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color(_FAINT)


def _scale(grid: Sequence[Sequence[Axes]], traces: Sequence[NodeTimeline]) -> None:
    """Give all rows the same scales, so that they can be compared."""
    for free, written, _ in grid[1:]:
        free.sharey(grid[0][0])
        written.sharey(grid[0][1])
    free, written, _ = grid[0]
    reserve = max(one.reserve for one in traces)
    points = (pages for one in traces for life in one.free for _, pages in life)
    top = max(10, 2 * reserve, *points)
    # Linear up to the reserve, where packets get lost; logarithmic above.
    free.set_yscale("symlog", linthresh=max(reserve, 1), linscale=0.7)
    free.set_ylim(0, top * 1.6)
    decades = [10**power for power in range(1, 12) if 2 * reserve < 10**power < top / 2]
    names = ["0", f"R = {reserve:,}", *(f"{tick:,}" for tick in (*decades, top))]
    free.set_yticks([0, reserve, *decades, top], names)
    free.minorticks_off()
    fastest = max([1.0, *(rate for one in traces for rate in one.written)])
    written.set_ylim(-0.02 * fastest, 1.1 * fastest)
    last = max(one.end for one in traces)
    for one, panels in zip(traces, grid, strict=True):
        for panel in panels:
            panel.set_xlim(-LEAD_SECONDS, last)
            if one.end < last:
                panel.axvspan(one.end, last, color=_AFTER, linewidth=0, zorder=0)


def _finish(
    figure: Figure, grid: Sequence[Sequence[Axes]], traces: Sequence[NodeTimeline], title: str
) -> None:
    """Draw titles, the shared time axis and the legend."""
    nodes = " / ".join(dict.fromkeys(one.node for one in traces))
    headings = (
        f"free pages of {nodes}",
        "its acknowledged writes, MiB/s",
        "its heartbeats that others missed",
    )
    for panel, heading in zip(grid[0], headings, strict=True):
        panel.set_title(heading, fontsize=10, color=_INK, loc="left", pad=10)
    since = " / ".join(dict.fromkeys(one.since for one in traces))
    for panel in grid[-1]:
        panel.set_xlabel(f"seconds {since}", fontsize=9, color=_INK)
    figure.suptitle(title, fontsize=12, color=_INK, x=0.012, y=0.985, ha="left")
    _legend(figure)
    height = figure.get_figheight()
    figure.subplots_adjust(
        left=0.112, right=0.985, bottom=0.85 / height, top=1 - 0.72 / height, wspace=0.16
    )


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    mark = {"linestyle": "none", "color": _INK, "markersize": 7}
    handles = [
        Patch(facecolor=_ORANGE, alpha=0.3, label="memory pressure: no page for a normal task"),
        Line2D([], [], marker="v", label="ejected and fenced", **mark),  # type: ignore[arg-type]
        Patch(**_HATCHED, label="down"),
        Line2D([], [], marker="^", label="boots again", **mark),  # type: ignore[arg-type]
        Patch(facecolor=_AFTER, label="after the run"),
    ]
    figure.legend(
        handles=handles, loc="lower left", ncols=5, fontsize=9, frameon=False, labelcolor=_INK
    )
