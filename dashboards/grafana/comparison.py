"""Policies, and what they are crossed with, side by side: runs of one scenario."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders

from dashboards.grafana import frame
from dashboards.grafana.panels import BAD_BELOW_TENTH, BAD_FROM_ONE, bars, lines, rows
from dashboards.grafana.queries import SETTINGS, SOME_RUNS, Query, at_end, metric, reserve_share

_LEGEND = "{{policy}}, flags {{flags}}, {{detector}}, shed {{shed}}"
_INFO = at_end(metric("run_info", SOME_RUNS))
_RUNS = f"count by ({SETTINGS}) (max by ({SETTINGS}, run) ({_INFO}))"


def _total(name: str, more: str = "") -> str:
    """Of all the runs with the same settings; 0 where the series never came."""
    none = at_end(metric("heartbeats_sent_total", SOME_RUNS))
    return f"sum by ({SETTINGS}) ({at_end(metric(name, SOME_RUNS, more))} or 0 * {none})"


def _each(name: str, more: str = "") -> str:
    """The mean of the runs with the same settings."""
    return f"{_total(name, more)} / {_RUNS}"


def _quantile(share: float) -> str:
    seen = at_end(metric("block_io_seconds_bucket", SOME_RUNS))
    return f"histogram_quantile({share}, sum by ({SETTINGS}, le) ({seen}))"


_LEAST = at_end(metric("pages_low_water", SOME_RUNS))
_LOW = f"min by ({SETTINGS}) ({reserve_share(_LEAST, at_end(metric('pages_reserved', SOME_RUNS)))})"


def comparison() -> builders.Dashboard:
    """What each policy cost and saved."""
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
    _table(made)
    _bars(made)
    _over_time(made)
    return made


def _table(made: builders.Dashboard) -> None:
    made.with_panel(
        rows(
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
    )


def _bars(made: builders.Dashboard) -> None:
    panels = (
        bars(
            "Heartbeats missed, a run",
            "All observers together, mean of the runs.",
            Query(_each("heartbeats_missed_total"), _LEGEND),
            steps=BAD_FROM_ONE,
        ),
        bars(
            "False ejections, a run",
            "Nodes fenced though they were alive, mean of the runs.",
            Query(_each("nodes_ejected_total", 'false="true"'), _LEGEND),
            steps=((None, "green"), (0.01, "red")),
        ),
        bars(
            "Under pressure, a run",
            "Not one page for a normal task, mean of the runs.",
            Query(_each("pressure_duration_seconds_sum"), _LEGEND),
            unit="s",
        ),
        bars(
            "Block writes, p99",
            "Of all runs with the same settings together.",
            Query(_quantile(0.99), _LEGEND),
            unit="s",
        ),
        bars(
            "Writes acknowledged, a run",
            "Mean of the runs.",
            Query(_each("block_io_seconds_count"), _LEGEND),
        ),
        bars(
            "Lowest reserve",
            "The fewest free pages of any node in any run, as a share of its reserve.",
            Query(_LOW, _LEGEND),
            unit="percentunit",
            steps=BAD_BELOW_TENTH,
        ),
    )
    for panel in panels:
        made.with_panel(panel)
    dropped = at_end(metric("packets_total", SOME_RUNS, 'verdict="drop"'))
    made.with_panel(
        bars(
            "Packets dropped",
            "By class and reason, all runs with the same settings together.",
            Query(
                f"sort_desc(sum by ({SETTINGS}, class, reason) ({dropped}) > 0)",
                f"{_LEGEND}, {{{{class}}}}: {{{{reason}}}}",
            ),
            span=24,
        )
    )


def _over_time(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Run by run"))
    made.with_panel(
        lines(
            "Writes acknowledged, in all",
            "Where a line is flat the device stood still.",
            Query(
                f"sum by ({SETTINGS}, run) ({metric('block_io_seconds_count', SOME_RUNS)})",
                f"{_LEGEND}, {{{{run}}}}",
            ),
        )
    )
    made.with_panel(
        lines(
            "Nodes under pressure",
            "How many have not one page for a normal task.",
            Query(
                f"sum by ({SETTINGS}, run) ({metric('pressure_active', SOME_RUNS)})",
                f"{_LEGEND}, {{{{run}}}}",
            ),
            steps=True,
        )
    )
