"""``python -m bench.growth FIGURES PICTURE``: how the cost of a simulated run grows with its nodes.

FIGURES is the JSON file that ``python -m bench simulated`` has written.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from matplotlib.figure import Figure

_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73")
_DOTS_PER_INCH: Final = 130


def draw(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw processor time for each simulated second, and memory, by the number of nodes."""
    nodes = [one["nodes"] for one in found]
    figure = Figure(figsize=(8.6, 3.4), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    runs = [[run["seconds"] / run["simulated_seconds"] for run in one["runs"]] for one in found]
    calm = [
        [run["period_microseconds"] * one["nodes"] / 1e6 for run in one["runs"]] for one in found
    ]
    for values, label, colour in (
        (runs, "whole run, judged", _COLOURS[0]),
        (calm, "calm period", _COLOURS[1]),
    ):
        medians = [statistics.median(each) for each in values]
        left.plot(nodes, medians, "o-", color=colour, label=label)
        for size, each in zip(nodes, values, strict=True):
            left.plot([size, size], [min(each), max(each)], color=colour)
        # The line that n log n would take from the first size on.
        share = medians[0] / (nodes[0] * math.log(nodes[0]))
        wanted = [share * size * math.log(size) for size in nodes]
        left.plot(nodes, wanted, ":", color=colour, alpha=0.7)
    left.plot([], [], ":", color="#666666", label="n log n from 100 nodes on")
    left.axhline(1, color="#999999", linewidth=0.8)
    left.text(nodes[0], 1.1, "real time", color="#666666", fontsize=8)
    left.set(xscale="log", yscale="log", xlabel="nodes", ylabel="processor s for a simulated s")
    left.legend(frameon=False, fontsize=8)
    memory = [max(run["megabytes"] for run in one["runs"]) for one in found]
    right.plot(nodes, memory, "s-", color=_COLOURS[2])
    right.set(xscale="log", yscale="log", xlabel="nodes", ylabel="most memory, MiB")
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.set_xticks(nodes, [f"{size:,}" for size in nodes], minor=False)
        axes.minorticks_off()
    figure.savefig(path, dpi=_DOTS_PER_INCH)


if __name__ == "__main__":
    draw(orjson.loads(Path(sys.argv[1]).read_bytes())["simulated"], Path(sys.argv[2]))
