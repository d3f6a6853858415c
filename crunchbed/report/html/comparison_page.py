"""The page of several runs side by side, which differ in policy or otherwise. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from crunchbed.checks.figures import CAUSES, spec_of
from crunchbed.checks.result import EXIT_CODES, Result, measured
from crunchbed.experiments.comparison import compare
from crunchbed.experiments.stats.interval import estimate
from crunchbed.report.html import figure_rows, series, thin
from crunchbed.report.html.lanes import Lanes
from crunchbed.report.html.repeat import commands, differences
from crunchbed.report.html.run_page import guests, notes, settings
from crunchbed.report.html.source import Recorded
from crunchbed.report.html.thin import Span
from crunchbed.report.scale import time_scale
from crunchbed.report.time_axis import zero_in_words
from reserve_agent.errors import BadInput

SEEDS_DRAWN: Final = 8  # seeds whose timelines are drawn; all else is of all seeds
_LEAD_SECONDS: Final = 2.0
_MOST_SPREADS: Final = 12


@dataclass
class Variant:
    """The runs of one label, such as one policy."""

    label: str  # what the runs are called
    first: Recorded
    results: list[Result] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)  # of each result
    latencies: list[int] = field(default_factory=list)  # ns of every write of valid runs, sorted
    drawn: dict[int, Recorded] = field(default_factory=dict)  # whose timelines are drawn, by seed


def gather(runs: Iterable[Recorded]) -> list[Variant]:
    """Return the variants of runs; BadInput where they are of several scenarios.

    Histories are kept of the first ``SEEDS_DRAWN`` seeds only.
    """
    found: dict[str, Variant] = {}
    drawn: set[int] = set()
    for run in runs:
        one = found.setdefault(run.label, Variant(run.label, run))
        first, name = next(iter(found.values())).first.scenario.name, run.scenario.name
        if name != first:
            raise BadInput(f"expected runs of one scenario, got {first} and {name}")
        seed = run.result.seed or 0
        one.results.append(run.result)
        one.seeds.append(seed)
        if run.result.valid:
            one.latencies += series.latencies(run.history, run.scenario.node_names)
        if run.history.events and (seed in drawn or len(drawn) < SEEDS_DRAWN):
            drawn.add(seed)
            one.drawn[seed] = run
    for one in found.values():
        one.latencies.sort()
    return list(found.values())


def content(variants: Sequence[Variant]) -> dict[str, Any]:
    """Return what the template of a comparison's page needs."""
    first = variants[0].first
    scenario = first.scenario
    labels = [one.label for one in variants]
    seeds = sorted({seed for one in variants for seed in one.seeds})
    of_seeds = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"
    results = [result for one in variants for result in one.results]
    rows = figure_rows.of_variants([one.results for one in variants])
    charts, left_out = _charts(variants, rows)
    longest = max((one.totals.pressure_longest_seconds for one in results), default=0.0)
    return {
        "title": f"{scenario.name}: {', '.join(labels)}; {of_seeds}",
        "scenario": scenario,
        "verdicts": [_verdict(one) for one in variants],
        "expectations": _expectations(variants),
        "facts": _facts(variants, seeds),
        "columns": labels,
        "rows": rows,
        "scale": time_scale(scenario, longest),
        "crunch": (None, None),
        "reserve_users": {},
        "charts": charts,
        "notes": left_out,
        "undrawn": undrawn(variants),
        "runs": [
            (one.label, result.seed, result.verdict, "; ".join(result.reasons))
            for one in variants
            for result in one.results
        ],
        "differences": differences({one.label: one.first.scenario for one in variants}),
        **settings(first, commands({one.label: one.first.scenario for one in variants}, seeds)),
    }


def undrawn(variants: Sequence[Variant]) -> list[tuple[str, str]]:
    """Return each reason for which no run left a history, and those runs; empty where one did."""
    if any(one.drawn for one in variants):
        return []
    whose: dict[str, list[str]] = {}
    for one in variants:
        for result in one.results:
            run = f"{one.label}, seed {result.seed}"
            whose.setdefault("; ".join(result.reasons) or result.verdict, []).append(run)
    return [(reason, "; ".join(runs)) for reason, runs in whose.items()]


def _facts(variants: Sequence[Variant], seeds: Sequence[int]) -> list[tuple[str, str]]:
    results = [result for one in variants for result in one.results]
    scenario = variants[0].first.scenario
    return [
        ("runs", str(len(results))),
        ("valid", str(sum(one.valid for one in results))),
        ("seeds", f"{seeds[0]}..{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])),
        ("nodes", str(scenario.cluster.nodes)),
        ("switch", ", ".join(dict.fromkeys(one.switch for one in results))),
        *guests(results),
    ]


def _verdict(one: Variant) -> tuple[str, str, str, list[str]]:
    """Label, worst verdict (it sets the colour), counts of all verdicts, and no reasons."""
    counts = Counter(result.verdict for result in one.results)
    ranked = sorted(counts, key=lambda verdict: (verdict != "fail", -EXIT_CODES[verdict]))
    text = ", ".join(f"{name} {count}/{len(one.results)}" for name, count in counts.items())
    return one.label, ranked[0], text, []


def _expectations(variants: Sequence[Variant]) -> list[tuple[str, bool | None, str]]:
    """The scenario's expectations, where runs differ in policy and seed alone; else none."""
    if any(one.label != one.first.scenario.policy for one in variants):
        return []
    results = [result for one in variants for result in one.results]
    compared = compare(variants[0].first.scenario, results)
    return [
        (
            one.text,
            one.holds if one.runnable else None,
            f"{one.held} of {len(one.outcomes)} seeds" if one.runnable else "not run",
        )
        for one in compared.expectations
    ]


def _charts(
    variants: Sequence[Variant], rows: Sequence[figure_rows.Row]
) -> tuple[dict[str, Any], list[str]]:
    drawn = sorted({seed for one in variants for seed in one.drawn})
    runs = [run for one in variants for run in one.drawn.values()]
    end = max((run.axis.at(run.history.measured.end) for run in runs), default=1.0)
    whole = -_LEAD_SECONDS, max(end, 0.001)
    left_out: list[str] = []
    groups = []
    for seed in drawn:
        of_seed = {one.label: one.drawn[seed] for one in variants if seed in one.drawn}
        group, said = _group(seed, of_seed, whole)
        groups.append(group)
        left_out += [one for one in said if one not in left_out]
    labels = [one.label for one in variants]
    seeds = {seed for one in variants for seed in one.seeds}
    if len(seeds) > len(drawn) > 0:
        left_out.append(f"Time lines: the first {len(drawn)} of {len(seeds)} seeds.")
    charts = {
        "time": f"seconds {' / '.join(dict.fromkeys(zero_in_words(run.history) for run in runs))}",
        "whole": whole,
        "phases": [],
        "causes": CAUSES,
        "groups": groups,
        "level": {"x": [], "series": []},
        "rate": {"x": [], "series": []},
        "latency": series.slower_than({one.label: one.latencies for one in variants}),
        "at_first": labels,
        "bands": [],
        "variants": labels,
        "spreads": spreads(variants, rows),
    }
    return charts, left_out


def _group(seed: int, runs: dict[str, Recorded], whole: Span) -> tuple[dict[str, Any], list[str]]:
    """Charts of one seed: timeline, free pages and write rate of each variant's crunched node."""
    lanes = []
    for label, run in runs.items():
        begin = run.axis.zero - round(_LEAD_SECONDS * 1e9)
        found = Lanes(run.history, run.scenario, run.axis, begin)
        name = f"{label} {run.target}"
        lanes.append(found.of(run.target, name).since(whole[0]).thinned(whole, thin.MOST_DRAWN))
    each = {label: (run.history, run.target, run.axis) for label, run in runs.items()}
    level, rate = series.free_pages(each, *whole), series.write_rates(each, *whole)
    shown = {
        "label": str(seed),
        "rows": [asdict(lane) for lane in lanes],
        "level": level,
        "rate": rate,
    }
    return shown, notes(lanes, level["bin_seconds"], rate["bin_seconds"])


def spreads(variants: Sequence[Variant], rows: Sequence[figure_rows.Row]) -> list[dict[str, Any]]:
    """Return the figures in which runs differ: values of valid runs, medians, and intervals."""
    found = []
    for row in rows:
        if row.part or not spec_of(row.name).outcome:
            continue
        values = [measured(one.results, row.name) for one in variants]
        if len({value for each in values for value in each}) > 1:
            medians = [cell.value for cell in row.cells]
            intervals = [interval(each) for each in values]
            found.append(
                {"name": row.name, "values": values, "medians": medians, "intervals": intervals}
            )
    return found[:_MOST_SPREADS]


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the bootstrap interval of the median; None where there are too few values."""
    if not values:
        return None
    found = estimate(values)
    return None if found.low is None or found.high is None else (found.low, found.high)
