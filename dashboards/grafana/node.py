"""The dashboard of one node."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as builders

from dashboards.grafana import frame
from dashboards.grafana.panels import BAD_FROM_ONE, bands, bars, heat_map, lines, number
from dashboards.grafana.queries import (
    ONE_NODE,
    Query,
    at_end,
    buckets,
    highest_now,
    metric,
    per_second,
    quantile,
    since_start,
)


def node() -> builders.Dashboard:
    """Memory, packets, heartbeats and block I/O of a node."""
    made = frame.dashboard(
        "node",
        "crunchbed: a node",
        "One node of one run: its pages, what became of its packets, whom it heard and who it.",
        frame.scenario(),
        frame.run('scenario="$scenario"'),
        frame.node(),
    )
    frame.add(made, *(figure.span(3) for figure in (*_membership_figures(), *_other_figures())))
    frame.add(made, _pressure(), _pages(), _episodes(), row="Memory")
    frame.add(made, *_hooks(), _verdicts(), row="Packets")
    frame.add(made, _heartbeats(), _missed(), *_membership(), row="Heartbeats")
    frame.add(made, _latency(), *_writes(), row="Block I/O")
    return made


def _mean(name: str) -> str:
    """The mean of all observations of a histogram; nothing where there is none."""
    mean = f"{metric(name + '_sum', ONE_NODE)} / ({metric(name + '_count', ONE_NODE)} > 0)"
    return f"sum({mean})"


def _membership_figures() -> tuple[stat.Panel, ...]:
    return (
        number(
            "Times ejected",
            "Rightly or falsely.",
            f"sum({metric('nodes_ejected_total', ONE_NODE)})",
            steps=BAD_FROM_ONE,
        ),
        number(
            "Times back after an ejection",
            "Ejected and admitted again.",
            f"sum({metric('flaps_total', ONE_NODE)})",
        ),
        number(
            "Recovery, mean",
            "From an ejection of this node until it holds a view with itself again.",
            _mean("recovery_seconds"),
            unit="s",
        ),
        number(
            "Detection, mean",
            "Of right ejections: from what took the node down to its fence.",
            _mean("detection_delay_seconds"),
            unit="s",
        ),
    )


def _other_figures() -> tuple[stat.Panel, ...]:
    return (
        number(
            "Episodes of pressure",
            "That are over.",
            f"sum({metric('pressure_duration_seconds_count', ONE_NODE)})",
        ),
        number(
            "Lowest number of free pages",
            "Since the run started.",
            f"min({metric('pages_low_water', ONE_NODE)})",
        ),
        number(
            "Fail-over, mean",
            "From the view without who served the block device until this node serves it.",
            _mean("failover_seconds"),
            unit="s",
        ),
        number(
            "Acknowledged writes lost",
            "Blocks that were not there when they were read back at the end.",
            f"sum({metric('writes_lost_total', ONE_NODE)})",
            steps=BAD_FROM_ONE,
        ),
    )


def _pressure() -> statetimeline.Panel:
    return bands(
        "Memory pressure",
        "While the node has not one page for a normal task.",
        Query(highest_now("pressure_active", ONE_NODE)),
        "pressure",
        "none",
        "orange",
    ).height(4)


def _pages() -> timeseries.Panel:
    return lines(
        "Pages",
        "Of 4 KiB, at the moment of the scrape.",
        Query(f"sum({metric('pages_free', ONE_NODE)})", "free"),
        Query(f"sum({metric('pages_reserved', ONE_NODE)})", "reserve"),
        Query(f"sum({metric('pages_dirty', ONE_NODE)})", "dirty"),
        Query(f"sum({metric('pages_low_water', ONE_NODE)})", "low water"),
    )


def _episodes() -> heatmap.Panel:
    return heat_map(
        "Length of episodes of pressure",
        "When an episode ends it is counted in the bucket of its length.",
        buckets("pressure_duration_seconds", ONE_NODE),
        span=12,
    ).height(8)


def _hooks() -> list[timeseries.Panel]:
    """A panel for each hook."""
    made = []
    for hook in ("receive", "deliver", "transmit"):
        one_hook = metric("packets_total", ONE_NODE, f'hook="{hook}"')
        verdicts = Query(
            f"sum by (class, reason) (rate({one_hook}[$__rate_interval]))", "{{class}}: {{reason}}"
        )
        text = "Verdicts a second, by class of packet and reason."
        made.append(lines(f"Hook: {hook}", text, verdicts, unit="pps", span=8))
    return made


def _verdicts() -> bargauge.Panel:
    total = at_end(metric("packets_total", ONE_NODE))
    return bars(
        "All verdicts of the run",
        "Frames by hook, class and reason. One packet meets more than one hook.",
        Query(
            f"sort_desc(sum by (hook, class, reason) ({total}) > 0)",
            "{{hook}} {{class}}: {{reason}}",
        ),
        span=24,
    )


def _heartbeats() -> timeseries.Panel:
    return lines(
        "Sent and received",
        "A second. Received is brought up to date once a second.",
        Query(per_second("heartbeats_sent_total", ONE_NODE, ("node",)), "sent to all peers"),
        Query(per_second("heartbeats_received_total", ONE_NODE, ("peer",)), "received of {{peer}}"),
        unit="pps",
    )


def _missed() -> timeseries.Panel:
    return lines(
        "Missed, in all",
        "What this node expected and did not get, by peer, and what its peers missed of it.",
        Query(
            f"sum by (peer, cause) ({metric('heartbeats_missed_total', ONE_NODE)})",
            "of {{peer}}: {{cause}}",
        ),
        Query('sum(crunchbed_heartbeats_missed_total{run="$run",peer="$node"})', "of this node"),
        Query(since_start("heartbeats_missed_total", ONE_NODE), "by this node"),
        steps=True,
    )


def _membership() -> tuple[timeseries.Panel, ...]:
    return (
        lines(
            "Members",
            "In this node's view, itself included.",
            Query(f"max({metric('membership_size', ONE_NODE)})", "members"),
            steps=True,
        ),
        lines(
            "Serving",
            "1 while it serves the block device; 0 throughout without a pair.",
            Query(f"max({metric('serving', ONE_NODE)})", "serving"),
            Query(f"max({metric('failovers_total', ONE_NODE)})", "fail-overs to it"),
            steps=True,
        ),
    )


def _latency() -> heatmap.Panel:
    return heat_map(
        "Latency of writes",
        "From submission to acknowledgement.",
        buckets("block_io_seconds", ONE_NODE),
    )


def _writes() -> tuple[timeseries.Panel, ...]:
    return (
        lines(
            "Latency since the start",
            "Quantiles of all writes so far.",
            *(
                Query(quantile(share, "block_io_seconds", ONE_NODE), f"p{100 * share:g}")
                for share in (0.5, 0.99, 0.999)
            ),
            unit="s",
        ),
        lines(
            "Writes",
            "Acknowledged a second, and failed in all.",
            Query(
                per_second("block_io_seconds_count", ONE_NODE, ("transport", "op")),
                "{{transport}} {{op}} a second",
            ),
            Query(since_start("block_io_errors_total", ONE_NODE), "failed in all"),
        ),
    )
