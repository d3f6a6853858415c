"""The dashboard of one run, with all its nodes."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, stat, statetimeline, table, timeseries

from dashboards.grafana import frame
from dashboards.grafana.panels import (
    BAD_BELOW_TENTH,
    BAD_FROM_ONE,
    bands,
    heat_map,
    lines,
    number,
    rows,
)
from dashboards.grafana.queries import (
    ONE_RUN,
    WHICH_RUN,
    Query,
    at_end,
    buckets,
    highest_now,
    metric,
    per_second,
    quantile,
    reserve_share,
    since_start,
)

_FALSE = 'false="true"'
_RIGHT = 'false="false"'
_RESERVED = metric("pages_reserved", ONE_RUN)
_LEFT = reserve_share(metric("pages_free", ONE_RUN), _RESERVED)
_LOW = reserve_share(metric("pages_low_water", ONE_RUN), _RESERVED)


def overview() -> builders.Dashboard:
    """Pressure, misses, ejections, reserve and block I/O of a run's nodes."""
    made = frame.dashboard(
        "overview",
        "crunchbed: a run",
        "What a crunch did to one run: who was out of memory, who was missed, who was ejected.",
        frame.scenario(),
        frame.run('scenario="$scenario"'),
    )
    frame.add(made, *_figures(), *_more_figures(), _the_run())
    frame.add(made, _pressure(), _missed(), _ejected(), *_membership(), row="Cluster")
    frame.add(made, *_reserve(), row="Reserve")
    frame.add(made, _latency(), *_writes(), row="Block I/O")
    frame.add(made, *_shedding(), *_switches(), row="Switches with a controller")
    return made


def _by_node(name: str, more: str = "") -> str:
    return f"sum by (node) ({metric(name, ONE_RUN, more)})"


def _figures() -> tuple[stat.Panel, ...]:
    return (
        number(
            "Heartbeats missed",
            "Expected and not there by the deadline, all observers together.",
            since_start("heartbeats_missed_total", ONE_RUN, ()),
            steps=BAD_FROM_ONE,
        ),
        number(
            "False ejections",
            "Nodes that were fenced though they were alive and reachable.",
            f"sum({metric('nodes_ejected_total', ONE_RUN, _FALSE)})",
            steps=BAD_FROM_ONE,
        ),
        number(
            "Lowest reserve",
            "The fewest free pages of any node, as a share of its reserve; 100 %: never used.",
            f"min({_LOW})",
            unit="percentunit",
            steps=BAD_BELOW_TENTH,
        ),
    )


def _more_figures() -> tuple[stat.Panel, ...]:
    return (
        number(
            "Under pressure",
            "Not one page for a normal task; all episodes that are over, of all nodes.",
            f"sum({metric('pressure_duration_seconds_sum', ONE_RUN)})",
            unit="s",
        ),
        number(
            "Block writes, p99",
            "99 of 100 writes since the start were acknowledged within this time.",
            quantile(0.99, "block_io_seconds", ONE_RUN),
            unit="s",
        ),
        number(
            "Fail-overs",
            "Times that the block device was taken over from the other of the pair.",
            f"sum({metric('failovers_total', ONE_RUN)})",
        ),
    )


def _the_run() -> table.Panel:
    info = f"max by ({WHICH_RUN}) ({at_end(metric('run_info', ONE_RUN))})"
    shown = rows("The run", "What is shown on this page.", Query(info, "1"), hidden=("Value",))
    return shown.height(4)


def _pressure() -> statetimeline.Panel:
    return bands(
        "Memory pressure",
        "A band while a node has not one page for a normal task. Episodes shorter than an "
        "interval of scrapes are marked above the panels and counted in the figures.",
        Query(highest_now("pressure_active", ONE_RUN)),
        "pressure",
        "none",
        "orange",
    )


def _missed() -> timeseries.Panel:
    return lines(
        "Heartbeats missed, in all",
        "By observer, since the start of the run.",
        Query(since_start("heartbeats_missed_total", ONE_RUN)),
        steps=True,
    )


def _ejected() -> timeseries.Panel:
    return lines(
        "Ejections, in all",
        "By the node that was ejected, since the start of the run. False: it was alive.",
        Query(_by_node("nodes_ejected_total", _FALSE), "{{node}}, false"),
        Query(_by_node("nodes_ejected_total", _RIGHT), "{{node}}, right"),
        steps=True,
    )


def _membership() -> tuple[timeseries.Panel, ...]:
    return (
        lines(
            "Members",
            "In each node's own view, itself included.",
            Query(f"max by (node) ({metric('membership_size', ONE_RUN)})"),
            steps=True,
        ),
        lines(
            "Serving",
            "1 while the node serves the block device; 0 throughout without a pair.",
            Query(f"max by (node) ({metric('serving', ONE_RUN)})"),
            steps=True,
        ),
    )


def _reserve() -> tuple[timeseries.Panel, ...]:
    verdicts = metric("packets_total", ONE_RUN, 'reason!="granted"')
    return (
        lines(
            "Reserve left",
            "Free pages as a share of the reserve, cut off at 100 %.",
            Query(f"min by (node) ({_LEFT})"),
            unit="percentunit",
        ),
        lines(
            "Packets that the reserve paid for, or that were dropped",
            "Verdicts of the hooks by reason. One packet meets more than one hook.",
            Query(
                f"sum by (hook, reason) (rate({verdicts}[$__rate_interval]))",
                "{{hook}}: {{reason}}",
            ),
            unit="pps",
        ),
    )


def _latency() -> heatmap.Panel:
    return heat_map(
        "Latency of writes",
        "From submission to acknowledgement, all nodes: how many writes fell into each bucket.",
        buckets("block_io_seconds", ONE_RUN),
    )


def _writes() -> tuple[timeseries.Panel, ...]:
    return (
        lines(
            "Writes acknowledged",
            "A second, by node. Where a line falls to 0 the device stood still.",
            Query(per_second("block_io_seconds_count", ONE_RUN, ("node",))),
            unit="wps",
        ),
        lines(
            "Writes that failed or were lost, in all",
            "What failed is written again; what was lost is known when it is read back at the end.",
            Query(since_start("block_io_errors_total", ONE_RUN), "{{node}}, failed"),
            Query(_by_node("writes_lost_total"), "{{node}}, acknowledged and lost"),
            steps=True,
        ),
    )


def _shedding() -> tuple[statetimeline.Panel, heatmap.Panel]:
    """Panels that stay empty in a run without a controller, as those of ``_switches`` do."""
    return (
        bands(
            "Load shed",
            "A band while the switches keep load from a node that is under memory pressure.",
            Query(highest_now("switch_shedding", ONE_RUN)),
            "shedding",
            "none",
            "purple",
            span=12,
        ),
        heat_map(
            "From pressure to shedding",
            "From the begin of a node's pressure until its shedding was in force in the switches.",
            buckets("switch_reaction_seconds", ONE_RUN),
            span=12,
        ).height(7),
    )


def _switches() -> tuple[timeseries.Panel, ...]:
    return (
        lines(
            "Packets at the switches",
            "A second, by class.",
            Query(per_second("switch_packets_total", ONE_RUN, ("class",)), "{{class}}"),
            unit="pps",
        ),
        lines(
            "Dropped at the switches, in all",
            "To shed load, by the node that they were for and class.",
            Query(
                f"sum by (node, class) ({metric('switch_drops_total', ONE_RUN)})",
                "{{node}}: {{class}}",
            ),
            steps=True,
        ),
    )
