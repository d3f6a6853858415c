"""The page of one run: data of its charts and its tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from crunchbed.checks.figures import CAUSES
from crunchbed.checks.result import Result
from crunchbed.history.history import Interval
from crunchbed.report.html import figure_rows, series, thin
from crunchbed.report.html.lanes import Lane, Lanes
from crunchbed.report.html.source import Recorded
from crunchbed.report.html.thin import Span
from crunchbed.report.scale import time_scale
from crunchbed.report.table import telling
from crunchbed.report.time_axis import zero_in_words
from crunchbed.scenario import yaml

_MOST_DRAWN_AT_FIRST = 6
MOST_NODES = 64
"""Of a larger cluster those are shown that have something to tell, and others up to this number."""
_KINDS = {
    "pressure": "episodes of pressure",
    "down": "times it was down",
    "faults": "faults on it",
    "serving": "times it served the block device",
    "beating": "times its heartbeats went out",
    "stalls": "stalls of its block I/O",
    "unheard": "its heartbeats that others missed",
    "missed": "heartbeats that it missed",
}


def content(run: Recorded) -> dict[str, Any]:
    """Return what the template of a run's page needs."""
    result, scenario = run.result, run.scenario
    columns, rows = figure_rows.of_run(result, nodes_shown(run))
    charts, notes = charts_of(run)
    return {
        "title": f"{scenario.name}: policy {scenario.policy}, seed {result.seed}",
        "scenario": scenario,
        "verdicts": [(scenario.policy, result.verdict, result.verdict, list(result.reasons))],
        "expectations": [(one.text, one.holds, one.shown) for one in result.expectations],
        "facts": _facts(run),
        "columns": columns,
        "rows": rows,
        "scale": time_scale(scenario, result.totals.pressure_longest_seconds),
        "crunch": (result.crunch_requested, result.crunch_achieved),
        "reserve_users": {node: users for node, users in result.reserve_users.items() if users},
        "charts": charts,
        "notes": notes,
        "undrawn": [],
        "runs": [],
        "differences": [],
        **settings(run, f"crunchbed run {scenario.name}.yaml --seed {result.seed}"),
    }


def nodes_shown(run: Recorded) -> list[str]:
    """Return the nodes that have a row and a column, in their order."""
    names = run.scenario.node_names
    if len(names) <= MOST_NODES:
        return list(names)
    chosen = list(dict.fromkeys([run.target, *telling(run.result), *names]))[:MOST_NODES]
    return sorted(chosen, key=run.scenario.index_of)


def settings(run: Recorded, command: str) -> dict[str, Any]:
    """Return how to repeat a run, and the versions that it was made with."""
    versions = {**run.result.versions}
    if run.info.processors is not None:
        versions["processors"] = str(run.info.processors)
    return {
        "command": command,
        "yaml": yaml.text_of(run.scenario.resolved()),
        "versions": versions,
    }


def _facts(run: Recorded) -> list[tuple[str, str]]:
    result, scenario = run.result, run.scenario
    return [
        ("policy", scenario.policy),
        ("memalloc sockets", ", ".join(scenario.memalloc) or "none"),
        ("seed", str(result.seed)),
        ("nodes", str(scenario.cluster.nodes)),
        ("switch", result.switch),
        *guests([result]),
        ("duration", f"{result.duration_seconds:.1f} s"),
        ("run", run.info.run or "unknown"),
    ]


def guests(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return the kernels, or the profiles of kernels, and the cards of runs."""
    found = {
        "kernel": [one.kernel for one in results],
        "card": [one.nic for one in results],
    }
    names = {key: [name for name in dict.fromkeys(each) if name] for key, each in found.items()}
    return [(key, ", ".join(each)) for key, each in names.items() if each]


def charts_of(run: Recorded) -> tuple[dict[str, Any], list[str]]:
    """Return the data of every chart, and notes on what the charts leave out."""
    begin, whole = _shown(run)
    lanes = Lanes(run.history, run.scenario, run.axis, begin)
    nodes, names = nodes_shown(run), run.scenario.node_names
    most = thin.share(len(nodes))
    drawn = [lanes.of(node).thinned(whole, most) for node in nodes]
    each = {node: (run.history, node, run.axis) for node in nodes}
    level = series.free_pages(each, *whole)
    slow = {node: series.latencies(run.history, [node]) for node in nodes}
    everybody = {"all nodes": series.latencies(run.history, names), **slow}
    shown = _shown_at_first(drawn, run.target)
    rate = series.write_rates(each, *whole)
    charts: dict[str, Any] = {
        "time": f"seconds {zero_in_words(run.history)}",
        "whole": whole,
        "phases": series.phases(
            run.history, run.axis, Interval(begin, run.history.measured.end + 1)
        ),
        "causes": CAUSES,
        "groups": [{"label": "", "rows": [asdict(lane) for lane in drawn]}],
        "level": level,
        "rate": rate,
        "latency": series.slower_than(everybody),
        "at_first": [*shown, "all nodes"],
        "bands": next((one.pressure for one in drawn if one.label == run.target), []),
    }
    left_out = notes(drawn, level["bin_seconds"], rate["bin_seconds"])
    if len(nodes) < len(names):
        left_out.append(
            f"{len(nodes)} of {len(names):,} nodes are shown, first those that something happened "
            "to; result.json has the figures of all."
        )
    return charts, left_out


def notes(lanes: list[Lane], level_seconds: float, rate_seconds: float) -> list[str]:
    """Return in words what the charts leave out."""
    found = [
        f"Free pages: the lowest and the highest sample of every {level_seconds * 1000:.3g} ms.",
        f"Write rate: the mean of every {rate_seconds * 1000:.3g} ms.",
    ]
    for lane in lanes:
        for kind, count in lane.left_out.items():
            drawn = len(getattr(lane, kind))
            found.append(
                f"Time line of {lane.label}, {_KINDS[kind]}: {count:,} are drawn as {drawn:,}; "
                "what lies closer than a pixel is one mark. The table counts them all."
            )
    return found


def _shown(run: Recorded) -> tuple[int, Span]:
    """From the control phase to the collecting: begin in nanoseconds, both ends in seconds."""
    control = run.history.phase("control")
    begin = control.start if control else run.history.span.start
    end = max(run.history.measured.end, begin + 1_000_000)
    return begin, (run.axis.at(begin), run.axis.at(end))


def _shown_at_first(lanes: list[Lane], target: str) -> list[str]:
    """All nodes of a small cluster; of a large one the crunched node and the most eventful."""
    if len(lanes) <= _MOST_DRAWN_AT_FIRST:
        return [lane.label for lane in lanes]
    telling = sorted(
        lanes,
        key=lambda lane: (lane.label == target, len(lane.missed) + len(lane.pressure)),
        reverse=True,
    )
    return [lane.label for lane in telling[:_MOST_DRAWN_AT_FIRST]]
