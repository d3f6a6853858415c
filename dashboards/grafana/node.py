"""One node in depth."""

from __future__ import annotations

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
    _figures(made)
    _memory(made)
    _packets(made)
    _heartbeats(made)
    _block_io(made)
    return made


def _mean(name: str) -> str:
    return f"{metric(name + '_sum', ONE_NODE)} / ({metric(name + '_count', ONE_NODE)} > 0)"


def _figures(made: builders.Dashboard) -> None:
    panels = (
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
            f"sum({_mean('recovery_seconds')})",
            unit="s",
        ),
        number(
            "Detection, mean",
            "Of right ejections: from what took the node down to its fence.",
            f"sum({_mean('detection_delay_seconds')})",
            unit="s",
        ),
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
            f"sum({_mean('failover_seconds')})",
            unit="s",
        ),
        number(
            "Acknowledged writes lost",
            "Blocks that were not there when they were read back at the end.",
            f"sum({metric('writes_lost_total', ONE_NODE)})",
            steps=BAD_FROM_ONE,
        ),
    )
    for panel in panels:
        made.with_panel(panel.span(3))


def _memory(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Memory"))
    made.with_panel(
        bands(
            "Memory pressure",
            "While the node has not one page for a normal task.",
            Query(highest_now("pressure_active", ONE_NODE)),
            "pressure",
            "none",
            "orange",
        ).height(4)
    )
    made.with_panel(
        lines(
            "Pages",
            "Of 4 KiB, at the moment of the scrape.",
            Query(f"sum({metric('pages_free', ONE_NODE)})", "free"),
            Query(f"sum({metric('pages_reserved', ONE_NODE)})", "reserve"),
            Query(f"sum({metric('pages_dirty', ONE_NODE)})", "dirty"),
            Query(f"sum({metric('pages_low_water', ONE_NODE)})", "low water"),
        )
    )
    made.with_panel(
        heat_map(
            "Length of episodes of pressure",
            "When an episode ends it is counted in the bucket of its length.",
            buckets("pressure_duration_seconds", ONE_NODE),
            span=12,
        ).height(8)
    )


def _packets(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Packets"))
    total = metric("packets_total", ONE_NODE)
    for hook in ("receive", "deliver", "transmit"):
        one_hook = metric("packets_total", ONE_NODE, f'hook="{hook}"')
        made.with_panel(
            lines(
                f"Hook: {hook}",
                "Verdicts a second, by class of packet and reason.",
                Query(
                    f"sum by (class, reason) (rate({one_hook}[$__rate_interval]))",
                    "{{class}}: {{reason}}",
                ),
                unit="pps",
                span=8,
            )
        )
    made.with_panel(
        bars(
            "All verdicts of the run",
            "Frames by hook, class and reason. One packet meets more than one hook.",
            Query(
                f"sort_desc(sum by (hook, class, reason) ({at_end(total)}) > 0)",
                "{{hook}} {{class}}: {{reason}}",
            ),
            span=24,
        )
    )


def _heartbeats(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Heartbeats"))
    made.with_panel(
        lines(
            "Sent and received",
            "A second. Received is brought up to date once a second.",
            Query(per_second("heartbeats_sent_total", ONE_NODE, ("node",)), "sent to all peers"),
            Query(
                per_second("heartbeats_received_total", ONE_NODE, ("peer",)), "received of {{peer}}"
            ),
            unit="pps",
        )
    )
    made.with_panel(
        lines(
            "Missed, in all",
            "What this node expected and did not get, by peer, and what its peers missed of it.",
            Query(
                f"sum by (peer, cause) ({metric('heartbeats_missed_total', ONE_NODE)})",
                "of {{peer}}: {{cause}}",
            ),
            Query(
                'sum(crunchbed_heartbeats_missed_total{run="$run",peer="$node"})', "of this node"
            ),
            Query(since_start("heartbeats_missed_total", ONE_NODE), "by this node"),
            steps=True,
        )
    )
    made.with_panel(
        lines(
            "Members",
            "In this node's view, itself included.",
            Query(f"max({metric('membership_size', ONE_NODE)})", "members"),
            steps=True,
        )
    )
    made.with_panel(
        lines(
            "Serving",
            "1 while it serves the block device; 0 throughout without a pair.",
            Query(f"max({metric('serving', ONE_NODE)})", "serving"),
            Query(f"max({metric('failovers_total', ONE_NODE)})", "fail-overs to it"),
            steps=True,
        )
    )


def _block_io(made: builders.Dashboard) -> None:
    made.with_row(builders.Row("Block I/O"))
    made.with_panel(
        heat_map(
            "Latency of writes",
            "From submission to acknowledgement.",
            buckets("block_io_seconds", ONE_NODE),
        )
    )
    made.with_panel(
        lines(
            "Latency since the start",
            "Quantiles of all writes so far.",
            *(
                Query(quantile(share, "block_io_seconds", ONE_NODE), f"p{100 * share:g}")
                for share in (0.5, 0.99, 0.999)
            ),
            unit="s",
        )
    )
    made.with_panel(
        lines(
            "Writes",
            "Acknowledged a second, and failed in all.",
            Query(
                per_second("block_io_seconds_count", ONE_NODE, ("transport", "op")),
                "{{transport}} {{op}} a second",
            ),
            Query(since_start("block_io_errors_total", ONE_NODE), "failed in all"),
        )
    )
