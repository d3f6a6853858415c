"""The pictures of a run or a comparison as PNG files, for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crunchbed.history.damaged import blamed_on
from crunchbed.report.html import comparison_page, figure_rows, series, source
from crunchbed.report.html.comparison_page import Variant
from crunchbed.report.timeline_picture import Row, draw, save
from reserve_agent.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people tell apart; curves differ in dashes too.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222")
_DASHES: Final = ("-", "--", "-.", ":")
_DOTS_PER_INCH: Final = 200
_ACROSS: Final = 4


def draw_all(directory: Path, out: Path) -> list[Path]:
    """Draw the run or the comparison in ``directory``; return the files that were made in ``out``.

    The timeline is of the first seed; latencies and spreads are of all runs. BadInput: there is no
    run, one cannot be read, or nothing can be written in ``out``.
    """
    made = [out / "timeline.png"]
    with blamed_on(directory):
        is_run = source.is_run(directory)
        runs = [source.read_run(directory)] if is_run else source.read_runs(directory)
        variants = comparison_page.gather(runs)
        _time_lines(variants, made[0])
        latencies = series.slower_than({one.label: one.latencies for one in variants})
        if latencies["series"]:
            made.append(out / "latency.png")
            save(_latencies(latencies), made[-1], _DOTS_PER_INCH)
        rows = figure_rows.of_variants([one.results for one in variants])
        if spreads := comparison_page.spreads(variants, rows):
            made.append(out / "spread.png")
            save(_spreads([one.label for one in variants], spreads), made[-1], _DOTS_PER_INCH)
    return made


def _time_lines(variants: Sequence[Variant], path: Path) -> None:
    seeds = [seed for one in variants for seed in one.drawn]
    if not seeds:
        raise BadInput(f"{path}: not drawn: no run left a history")
    rows = [
        Row(one.label, one.drawn[seeds[0]].history) for one in variants if seeds[0] in one.drawn
    ]
    draw(rows, f"{variants[0].first.scenario.name}, seed {seeds[0]}", path)


def _latencies(curves: series.Curves) -> Figure:
    figure = _figure(6.0, 4.0)
    axes = figure.subplots()
    for index, one in enumerate(curves["series"]):
        known = [(x, y) for x, y in zip(curves["x"], one["y"], strict=True) if y is not None]
        axes.plot(*zip(*known, strict=True), label=one["label"], **_pen(index))
    axes.set(
        xscale="log", yscale="log", xlabel="seconds", ylabel="share of writes slower than this"
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    return figure


def _spreads(labels: Sequence[str], spreads: Sequence[dict[str, Any]]) -> Figure:
    down = -(-len(spreads) // _ACROSS)
    figure = _figure(3.0 * min(_ACROSS, len(spreads)), 2.4 * down)
    grid = figure.subplots(down, min(_ACROSS, len(spreads)), squeeze=False)
    panels = [panel for row in grid for panel in row]
    for panel in panels[len(spreads) :]:
        panel.set_visible(False)
    for panel, one in zip(panels, spreads, strict=False):
        _draw_spread(panel, one)
        panel.set_title(one["name"].replace("_", " "), fontsize=9, loc="left")
        panel.set_xticks(range(len(labels)), [name.replace("-", "\n") for name in labels])
        panel.set_xlim(-0.6, len(labels) - 0.4)
        every = [0.0, *(value for values in one["values"] for value in values)]
        margin = 0.08 * (max(every) - min(every))
        panel.set_ylim(min(every) - margin, max(every) + margin)
        panel.tick_params(labelsize=8)
    return figure


def _draw_spread(panel: Axes, one: Mapping[str, Any]) -> None:
    """Draw every run as a dot, with median, range, and the median's interval where there is one."""
    each = zip(one["values"], one["medians"], one["intervals"], strict=True)
    for index, (values, median, interval) in enumerate(each):
        if not values:
            continue
        colour = _COLOURS[index % len(_COLOURS)]
        if interval is not None:
            low, high = interval
            panel.bar([index], [high - low], bottom=low, width=0.36, color=colour, alpha=0.22)
        panel.plot([index, index], [min(values), max(values)], color=colour, linewidth=1.5)
        panel.plot([index] * len(values), values, "o", color=colour, alpha=0.5, markersize=4)
        panel.plot([index], [median], "_", color=colour, markersize=18, markeredgewidth=2)


def _pen(index: int) -> dict[str, Any]:
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linestyle": _DASHES[index // len(_COLOURS) % len(_DASHES)],
        "linewidth": 1.6,
    }


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white", layout="constrained")
