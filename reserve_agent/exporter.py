"""Every metric of the project, in one class. docs/metrics.md documents them; a test compares.

Counters live in the agent, which outlasts its node: they survive a node's reboot. They survive the
agent too: one that goes on for another observes first what is in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from reserve_agent.hooks.layout import Hook, PacketClass, Reason

PRESSURE_BUCKETS = (
    *(50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
MEMBERSHIP_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
BLOCK_IO_BUCKETS = (
    *(100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
PacketCounts = Mapping[tuple[Hook, PacketClass, Reason], tuple[int, int]]


def _read_float(read: Callable[[str], int], field: str) -> float:
    return float(read(field))


class _PacketCollector(Collector):
    """Reads the hooks' packet counters when somebody scrapes."""

    def __init__(self, node: str, read: Callable[[], PacketCounts]) -> None:
        self._node = node
        self._read = read

    def collect(self) -> Iterable[Metric]:
        labels = ("node", "hook", "class", "verdict", "reason")
        packets = CounterMetricFamily(
            "crunchbed_packets", "Packets that a hook gave a verdict on.", labels=labels
        )
        for (hook, cls, reason), (count, _) in self._read().items():
            verdict = "pass" if reason.passed else "drop"
            names = (self._node, hook.name.lower(), cls.label, verdict, reason.name.lower())
            packets.add_metric(names, count)
        yield packets


class Exporter:
    """One node's metrics.

    Args:
        node: Value of the label ``node``.
        registry: Where the metrics are registered; None for one of its own, never the global.
        read_packets: Returns the hooks' packet counters.
        read_pool: Returns one counter of the pool by its name in ``layout.POOL_FIELDS``.
    """

    def __init__(
        self,
        node: str,
        registry: CollectorRegistry | None,
        read_packets: Callable[[], PacketCounts],
        read_pool: Callable[[str], int],
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._node = node
        self._registry = CollectorRegistry() if registry is None else registry
        self._registry.register(_PacketCollector(node, read_packets))
        self._info = Info(
            "crunchbed_run", "The run that this node is part of.", registry=self._registry
        )
        self._heartbeats()
        self._memory(read_pool)
        self._block_io()
        self._service()
        self._testbed()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        counter = Counter(f"crunchbed_{name}", text, ("node", *labels), registry=self._registry)
        if not labels:
            counter.labels(self._node)  # at 0 from the start, so that the first one is a rise
        return counter

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"crunchbed_{name}", text, ("node",), registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        histogram = Histogram(
            f"crunchbed_{name}",
            text,
            ("node",),
            buckets=MEMBERSHIP_BUCKETS,
            registry=self._registry,
        )
        histogram.labels(self._node)
        return histogram

    def _heartbeats(self) -> None:
        self._sent = self._counter("heartbeats_sent", "Heartbeats sent, one for each peer.")
        self._received = self._counter("heartbeats_received", "Heartbeats received.", "peer")
        self._missed = self._counter(
            "heartbeats_missed", "Heartbeats expected and not got in time.", "peer", "cause"
        )
        self._ejected = self._counter(
            "nodes_ejected", "Times this node was ejected.", "reason", "false"
        )
        for false in ("true", "false"):
            self._ejected.labels(self._node, "heartbeats_missed", false)
        self._delay = self._histogram(
            "detection_delay_seconds", "From what took this node down or cut it off to its fence."
        )
        self._recovery = self._histogram(
            "recovery_seconds", "From this node's ejection until it holds a view with itself again."
        )
        self._flaps = self._counter("flaps", "Times this node was ejected and admitted again.")
        self._out_since: int | None = None
        self._members = self._gauge("membership_size", "Members in this node's view.")

    def _memory(self, read_pool: Callable[[str], int]) -> None:
        fields = {
            "pages_free": ("free", "Free pages of the modelled pool (4 KiB each)."),
            "pages_reserved": ("reserve", "Pages under the min watermark."),
            "pages_dirty": ("dirty", "Dirty pages waiting for writeback."),
            "pages_low_water": ("low_water", "Fewest free pages seen so far."),
            "pressure_active": ("pressure", "1 while not one page is free for a normal task."),
        }
        for name, (field, text) in fields.items():
            gauge = self._gauge(name, text).labels(self._node)
            gauge.set_function(partial(_read_float, read_pool, field))
        self._pressure = Histogram(
            "crunchbed_pressure_duration_seconds",
            "How long an episode of memory pressure lasted.",
            ("node",),
            buckets=PRESSURE_BUCKETS,
            registry=self._registry,
        )
        self._pressure.labels(self._node)

    def _block_io(self) -> None:
        self._io = Histogram(
            "crunchbed_block_io_seconds",
            "From submitting a block request to its acknowledgement.",
            ("node", "transport", "op"),
            buckets=BLOCK_IO_BUCKETS,
            registry=self._registry,
        )
        self._io_errors = self._counter(
            "block_io_errors", "Block requests that failed.", "transport", "op"
        )

    def _service(self) -> None:
        self._serving = self._gauge("serving", "1 while this node serves the block device.")
        self._serving.labels(self._node).set(0)
        self._failovers = self._counter(
            "failovers", "Times this node took the block device over from another."
        )

    def _testbed(self) -> None:
        self._late = self._counter("timers_late", "Times a daemon woke too late by its own clock.")
        self._lost = self._counter("hook_events_lost", "Journal entries overwritten before read.")

    def describe_run(self, run: str, scenario: str, policy: str) -> None:
        """Set the info metric."""
        self._info.info({"node": self._node, "run": run, "scenario": scenario, "policy": policy})

    def observe(self, event: Mapping[str, Any]) -> None:
        """Update the metrics from one event of the node's history."""
        update = self._UPDATES.get(event["kind"])
        if update is not None:
            update(self, event)

    def serve(self, port: int = 0) -> int:
        """Serve the metrics on ``port`` of the loopback interface, or on a free one.

        Args:
            port: A wish, so that who scrapes need not look again; 0 for none.

        Returns:
            The port.
        """
        server: WSGIServer
        try:
            server, _ = start_http_server(port, addr="127.0.0.1", registry=self._registry)
        except OSError:
            if port == 0:
                raise
            return self.serve()
        return int(server.server_port)

    def _on_sent(self, event: Mapping[str, Any]) -> None:
        peers = event["peers"]  # a list, or how many were sent in all
        self._sent.labels(self._node).inc(peers if isinstance(peers, int) else len(peers))

    def _on_received(self, event: Mapping[str, Any]) -> None:
        for peer, count in event["counts"].items():
            self._received.labels(self._node, peer).inc(count)

    def _on_miss(self, event: Mapping[str, Any]) -> None:
        peer = event["peer"] or "unknown"  # corosync's token is passed on by all
        self._missed.labels(self._node, peer, event.get("cause", "unknown")).inc()

    def _on_ejected(self, event: Mapping[str, Any]) -> None:
        false = str(bool(event["false"])).lower()
        self._ejected.labels(self._node, event["reason"], false).inc()
        if "delay_ns" in event:
            self._delay.labels(self._node).observe(event["delay_ns"] / 1e9)
        self._out_since = event.get("t")

    def _on_view(self, event: Mapping[str, Any]) -> None:
        self._members.labels(self._node).set(len(event["members"]))
        if self._out_since is not None and self._node in event["members"]:
            self._recovery.labels(self._node).observe((event["t"] - self._out_since) / 1e9)
            self._flaps.labels(self._node).inc()
            self._out_since = None

    def _on_pressure_end(self, event: Mapping[str, Any]) -> None:
        self._pressure.labels(self._node).observe(event["duration_ns"] / 1e9)

    def _on_write(self, event: Mapping[str, Any]) -> None:
        seconds = (event["t"] - event["submitted"]) / 1e9
        self._io.labels(self._node, event["transport"], "write").observe(seconds)

    def _on_write_error(self, event: Mapping[str, Any]) -> None:
        self._io_errors.labels(self._node, event["transport"], "write").inc()

    def _on_service(self, event: Mapping[str, Any]) -> None:
        self._serving.labels(self._node).set(event["kind"] == "service.start")
        if event.get("taken_from"):
            self._failovers.labels(self._node).inc()

    def _on_late(self, _event: Mapping[str, Any]) -> None:
        self._late.labels(self._node).inc()

    def _on_reset(self, _event: Mapping[str, Any]) -> None:
        # The node lost power: it is a member of nothing that it knew of.
        self._members.labels(self._node).set(0)
        self._serving.labels(self._node).set(0)

    def _on_events_lost(self, event: Mapping[str, Any]) -> None:
        self._lost.labels(self._node).inc(event["count"])

    _UPDATES = {  # noqa: RUF012 - a constant table
        "heartbeat.sent": _on_sent,
        "heartbeat.received": _on_received,
        "heartbeat.miss": _on_miss,
        "heartbeat.late": _on_late,
        "late": _on_late,
        "node.ejected": _on_ejected,
        "membership.view": _on_view,
        "service.start": _on_service,
        "service.stop": _on_service,
        "pressure.end": _on_pressure_end,
        "node.reset": _on_reset,
        "hook.events_lost": _on_events_lost,
        "write.ack": _on_write,
        "write.error": _on_write_error,
    }
