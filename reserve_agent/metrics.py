"""Every metric of the project, as a table. docs/metrics.md documents them; tests compare.

Each has the prefix ``crunchbed_`` and the label ``node`` beside those named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PREFIX: Final = "crunchbed_"
PRESSURE_BUCKETS: Final = (
    *(50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
MEMBERSHIP_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
BLOCK_IO_BUCKETS: Final = (
    *(100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
SCRAPE_BUCKETS: Final = (100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 0.25, 1)
REACTION_BUCKETS: Final = (
    *(250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

Kind = Literal["counter", "gauge", "histogram", "info"]
_SUFFIX: Final[dict[Kind, str]] = {"counter": "_total", "info": "_info"}


@dataclass(frozen=True)
class Definition:
    """One metric.

    Attributes:
        name: Without the prefix, and without the suffix of its kind.
        kind: As Prometheus has them.
        text: One sentence for whoever reads the exporter's output.
        labels: Labels beside ``node``.
        buckets: Upper bounds of a histogram, in its unit; the last one, infinity, left out.
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name in queries; of a histogram, without ``_bucket``, ``_sum`` and ``_count``."""
        return f"{PREFIX}{self.name}{_SUFFIX.get(self.kind, '')}"


def _counter(name: str, text: str, *labels: str) -> Definition:
    return Definition(name, "counter", text, labels)


def _gauge(name: str, text: str) -> Definition:
    return Definition(name, "gauge", text)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Definition:
    return Definition(name, "histogram", text, labels, buckets)


NODE_METRICS: Final = (
    Definition("run", "info", "The run of this node.", ("run", "scenario", "policy")),
    _counter("heartbeats_sent", "Heartbeats sent, one for each peer."),
    _counter("heartbeats_received", "Heartbeats received.", "peer"),
    _counter("heartbeats_missed", "Heartbeats expected and not got in time.", "peer", "cause"),
    _counter("nodes_ejected", "Times this node was ejected.", "reason", "false"),
    _histogram(
        "detection_delay_seconds",
        "From what took this node down or cut it off to its fence.",
        MEMBERSHIP_BUCKETS,
    ),
    _histogram(
        "recovery_seconds",
        "From this node's ejection until it holds a view with itself again.",
        MEMBERSHIP_BUCKETS,
    ),
    _counter("flaps", "Times this node was ejected and admitted again."),
    _gauge("membership_size", "Members in this node's view."),
    _gauge("pages_free", "Free pages of the modelled pool (4 KiB each)."),
    _gauge("pages_reserved", "Pages under the min watermark."),
    _gauge("pages_dirty", "Dirty pages waiting for writeback."),
    _gauge("pages_low_water", "Fewest free pages seen so far; exact near R."),
    _gauge("pressure_active", "1 while not one page is free for a normal task."),
    _histogram(
        "pressure_duration_seconds",
        "How long an episode of memory pressure lasted.",
        PRESSURE_BUCKETS,
    ),
    _counter(
        "packets", "Packets that a hook gave a verdict on.", *("hook", "class", "verdict", "reason")
    ),
    _histogram(
        "block_io_seconds",
        "From submitting a block request to its acknowledgement.",
        BLOCK_IO_BUCKETS,
        *("transport", "op"),
    ),
    _counter("block_io_errors", "Block requests that failed.", "transport", "op"),
    _counter("writes_lost", "Acknowledged blocks that were not there when they were read back."),
    _gauge("serving", "1 while this node serves the block device."),
    _counter("failovers", "Times this node took the block device over from another."),
    _histogram(
        "failover_seconds",
        "From the view without the last server of the block device until this node serves it.",
        MEMBERSHIP_BUCKETS,
    ),
    _counter("timers_late", "Times a daemon woke too late by its own clock."),
    _counter("hook_events_lost", "Journal entries overwritten before read."),
    _histogram("scrape_seconds", "How long the agent took to answer a scrape.", SCRAPE_BUCKETS),
)
"""What a node's agent exports."""

SWITCH_METRICS: Final = (
    _counter("switch_packets", "Packets for this node, as the switches counted them.", "class"),
    _counter("switch_drops", "Packets for this node that a switch dropped to shed load.", "class"),
    _gauge("switch_shedding", "1 while the switches shed load for this node."),
    _histogram(
        "switch_reaction_seconds",
        "From the begin of this node's pressure until its shedding was in force.",
        REACTION_BUCKETS,
    ),
    _counter("pressure_messages_refused", "Pressure messages that the controller refused."),
    _counter("openflow_malformed", "Malformed OpenFlow messages that the controller got."),
)
"""What the switches' controller exports, with ``node`` for the one that a packet is for; its own
failures are those of the node ``controller``."""

HOST_METRICS: Final = (
    Definition("host_findings", "gauge", "Findings about this machine.", ("severity",)),
    Definition("host_finding", "info", "A finding.", ("kind", "severity", "subject")),
    Definition("host_card", "info", "A network card.", ("interface", "driver", "draws")),
    _gauge("host_reserve_pages", "Pages of the min watermarks for memalloc sockets alone."),
    _gauge("host_reserve_needed_pages", "Pages that the memalloc sockets here need."),
    _counter("host_pfmemalloc_drops", "Packets from the reserve that were dropped."),
    _counter("host_reclaim_throttled", "Times a task waited, half of the reserve being gone."),
    _gauge("host_allocations_failed", "Failed allocations that the kernel's log tells of."),
    _gauge("host_files_unread", "Files that the audit could not read."),
)
"""What ``crunchbed audit --host --metrics`` prints, with ``node`` for the machine's name."""

METRICS: Final[dict[str, Definition]] = {
    one.full_name: one for one in (*NODE_METRICS, *SWITCH_METRICS, *HOST_METRICS)
}
"""All of them, by full name."""
