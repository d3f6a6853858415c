"""The dashboard that compares policies, and the settings crossed with them, in one scenario."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders

from dashboards.grafana import frame
from dashboards.grafana.panels import (
    BAD_BELOW_TENTH,
    BAD_FROM_ONE,
    NEUTRAL,
    Steps,
    bars,
    lines,
    rows,
)
from dashboards.grafana.queries import SETTINGS, SOME_RUNS, Query, at_end, metric, reserve_share

_LEGEND = "{{policy}}, flags {{flags}}, {{detector}}, shed {{shed}}"
_INFO = at_end(metric("run_info", SOME_RUNS))
_RUNS = f"count by ({SETTINGS}) (max by ({SETTINGS}, run) ({_INFO}))"


def _total(name: str, more: str = "") -> str:
    """The sum over all runs with the same settings; 0 where no run has the series."""
    none = at_end(metric("heartbeats_sent_total", SOME_RUNS))
    return f"sum by ({SETTINGS}) ({at_end(metric(name, SOME_RUNS, more))} or 0 * {none})"


def _each(name: str, more: str = "") -> str:
    """The mean over the runs with the same settings."""
    return f"{_total(name, more)} / {_RUNS}"


def _quantile(share: float) -> str:
    seen = at_end(metric("block_io_seconds_bucket", SOME_RUNS))
    return f"histogram_quantile({share}, sum by ({SETTINGS}, le) ({seen}))"


_LEAST = at_end(metric("pages_low_water", SOME_RUNS))
_LOW = f"min by ({SETTINGS}) ({reserve_share(_LEAST, at_end(metric('pages_reserved', SOME_RUNS)))})"


def comparison() -> builders.Dashboard:
    """Costs and benefits of each policy."""
    made = frame.dashboard(
        "comparison",
        "crunchbed: policies compared",
        "Runs of one scenario held against each other by policy and by what `crunchbed compare` "
        "crosses policies with (memalloc flags, detector, shedding), over the time range of the "
        "page. Figures of several runs are means; `crunchbed compare` has their intervals.",
        frame.scenario(),
        frame.runs('scenario="$scenario"'),
        marked=False,
    )
    frame.add(made, _table(), *_membership(), *_block_io(), _dropped())
    frame.add(made, *_over_time(), row="Run by run")
    return made


def _table() -> table.Panel:
    return rows(
        "Policies",
        "A row for each combination of settings: means of its runs; the lowest reserve of any; "
        "latency of all writes together.",
        Query(_RUNS, "runs"),
        Query(_each("heartbeats_missed_total"), "heartbeats missed"),
        Query(_each("nodes_ejected_total", 'false="true"'), "false ejections"),
        Query(_each("pressure_duration_seconds_sum"), "seconds under pressure"),
        Query(_each("block_io_seconds_count"), "writes acknowledged"),
        Query(_each("writes_lost_total"), "writes lost"),
        Query(_quantile(0.5), "write p50, s"),
        Query(_quantile(0.99), "write p99, s"),
        Query(_LOW, "lowest reserve"),
    )


def _bar(
    title: str, text: str, expr: str, unit: str = "short", steps: Steps = NEUTRAL
) -> bargauge.Panel:
    """A bar for each combination of settings."""
    return bars(title, text, Query(expr, _LEGEND), unit=unit, steps=steps)


def _membership() -> tuple[bargauge.Panel, ...]:
    return (
        _bar(
            "Heartbeats missed, a run",
            "All observers together, mean of the runs.",
            _each("heartbeats_missed_total"),
            steps=BAD_FROM_ONE,
        ),
        _bar(
            "False ejections, a run",
            "Nodes fenced though they were alive, mean of the runs.",
            _each("nodes_ejected_total", 'false="true"'),
            steps=((None, "green"), (0.01, "red")),
        ),
        _bar(
            "Under pressure, a run",
            "Not one page for a normal task, mean of the runs.",
            _each("pressure_duration_seconds_sum"),
            unit="s",
        ),
    )


def _block_io() -> tuple[bargauge.Panel, ...]:
    return (
        _bar(
            "Block writes, p99",
            "Of all runs with the same settings together.",
            _quantile(0.99),
            unit="s",
        ),
        _bar("Writes acknowledged, a run", "Mean of the runs.", _each("block_io_seconds_count")),
        _bar(
            "Lowest reserve",
            "The fewest free pages of any node in any run, as a share of its reserve.",
            _LOW,
            unit="percentunit",
            steps=BAD_BELOW_TENTH,
        ),
    )


def _dropped() -> bargauge.Panel:
    dropped = at_end(metric("packets_total", SOME_RUNS, 'verdict="drop"'))
    return bars(
        "Packets dropped",
        "By class and reason, all runs with the same settings together.",
        Query(
            f"sort_desc(sum by ({SETTINGS}, class, reason) ({dropped}) > 0)",
            f"{_LEGEND}, {{{{class}}}}: {{{{reason}}}}",
        ),
        span=24,
    )


def _over_time() -> tuple[timeseries.Panel, ...]:
    legend = f"{_LEGEND}, {{{{run}}}}"

    def by_run(name: str) -> Query:
        return Query(f"sum by ({SETTINGS}, run) ({metric(name, SOME_RUNS)})", legend)

    return (
        lines(
            "Writes acknowledged, in all",
            "Where a line is flat the device stood still.",
            by_run("block_io_seconds_count"),
        ),
        lines(
            "Nodes under pressure",
            "How many have not one page for a normal task.",
            by_run("pressure_active"),
            steps=True,
        ),
    )
