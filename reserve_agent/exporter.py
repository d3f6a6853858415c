"""One node's metrics, moved by the events of its history. ``metrics.py`` says which there are.

Counters live in the agent, which outlasts its node: they survive a node's reboot. They survive the
agent too: one that goes on for another observes first what is in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from reserve_agent import exposition
from reserve_agent.drop_causes import DROP_CAUSES
from reserve_agent.exposition import Families, Family, Rows, Sample
from reserve_agent.hooks.layout import Hook, PacketClass, Reason
from reserve_agent.metrics import NODE_METRICS

PacketCounts = Mapping[tuple[Hook, PacketClass, Reason], tuple[int, int]]
_POOL = {
    "pages_free": "free",
    "pages_reserved": "reserve",
    "pages_dirty": "dirty",
    "pages_low_water": "low_water",
    "pressure_active": "pressure",
}
_FROM_ZERO = (
    *("heartbeats_sent", "flaps", "writes_lost", "failovers", "timers_late", "hook_events_lost"),
)
_SEEN_FROM_START = (
    *("detection_delay_seconds", "recovery_seconds", "pressure_duration_seconds"),
    *("failover_seconds", "scrape_seconds"),
)
_KEPT_DROPS = 1024
_PACKET_LABELS = {
    (hook, cls, reason): (
        *(hook.name.lower(), cls.label),
        *("pass" if reason.passed else "drop", reason.name.lower()),
    )
    for hook in Hook
    for cls in PacketClass
    for reason in Reason
}


class Exporter:
    """One node's metrics.

    Args:
        node: Value of the label ``node``.
        registry: Where the metrics are registered too; None for nowhere.
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
        self._node = node
        self._read_packets = read_packets
        self._read_pool = read_pool
        readers = {"packets": self._packets, **{name: self._pool(name) for name in _POOL}}
        self._of = {
            one.name: Family(one, {"node": node}, readers.get(one.name)) for one in NODE_METRICS
        }
        self._families = Families(self._of.values())
        if registry is not None:
            registry.register(self._families)
        self._out_since: int | None = None
        self._gone_since: dict[str, int] = {}
        self._drops: dict[str, str] = {}
        self._begin()

    def _begin(self) -> None:
        """What can be counted is 0 from the start, so that the first one is a rise."""
        for name in _FROM_ZERO:
            self._of[name].add(by=0)
        for name in _SEEN_FROM_START:
            self._of[name].open()
        for false in ("true", "false"):
            self._of["nodes_ejected"].add("heartbeats_missed", false, by=0)
        self._of["serving"].set(0)

    def _packets(self) -> Rows:
        for key, (count, _) in self._read_packets().items():
            yield _PACKET_LABELS[key], count

    def _pool(self, name: str) -> Callable[[], Rows]:
        field = _POOL[name]
        return lambda: [((), self._read_pool(field))]

    def describe_run(self, run: str, scenario: str, policy: str) -> None:
        """Set the info metric."""
        self._of["run"].only(run, scenario, policy)

    def observe(self, event: Mapping[str, Any]) -> None:
        """Update the metrics from one event of the node's history."""
        update = self._UPDATES.get(event["kind"])
        if update is not None:
            update(self, event)

    def samples(self) -> Iterator[Sample]:
        """Every series, now."""
        return self._families.samples()

    def text(self) -> str:
        """The same as Prometheus reads it."""
        return self._families.text()

    def serve(self, port: int = 0) -> int:
        """Serve the metrics on the loopback interface; returns the port. See ``exposition``."""
        return exposition.serve(self.text, self._of["scrape_seconds"].observe, port)

    def _on_sent(self, event: Mapping[str, Any]) -> None:
        peers = event["peers"]  # a list, or how many were sent in all
        self._of["heartbeats_sent"].add(by=peers if isinstance(peers, int) else len(peers))

    def _on_received(self, event: Mapping[str, Any]) -> None:
        for peer, count in event["counts"].items():
            self._of["heartbeats_received"].add(peer, by=count)

    def _on_drop(self, event: Mapping[str, Any]) -> None:
        """Remember which heartbeats this node's own hooks have dropped, the latest of them."""
        if event["cls"] != "heartbeat" or event["hook"] == "transmit":
            return
        self._drops[event["tag"]] = DROP_CAUSES.get(event["reason"], "unknown")
        if len(self._drops) > _KEPT_DROPS:
            del self._drops[next(iter(self._drops))]

    def _on_miss(self, event: Mapping[str, Any]) -> None:
        peer = event.get("peer") or "unknown"  # corosync's token is passed on by all
        own = self._drops.get(event.get("tag") or "", "unknown")
        self._of["heartbeats_missed"].add(peer, event.get("cause", own))

    def _on_ejected(self, event: Mapping[str, Any]) -> None:
        false = str(bool(event["false"])).lower()
        self._of["nodes_ejected"].add(event["reason"], false)
        if "delay_ns" in event:
            self._of["detection_delay_seconds"].observe(event["delay_ns"] / 1e9)
        self._out_since = event.get("t")

    def _on_view(self, event: Mapping[str, Any]) -> None:
        self._of["membership_size"].set(len(event["members"]))
        self._gone_since |= dict.fromkeys(event.get("removed", ()), event["t"])
        if self._out_since is not None and self._node in event["members"]:
            self._of["recovery_seconds"].observe((event["t"] - self._out_since) / 1e9)
            self._of["flaps"].add()
            self._out_since = None

    def _on_pressure_end(self, event: Mapping[str, Any]) -> None:
        self._of["pressure_duration_seconds"].observe(event["duration_ns"] / 1e9)

    def _on_write(self, event: Mapping[str, Any]) -> None:
        seconds = (event["t"] - event["submitted"]) / 1e9
        self._of["block_io_seconds"].observe(seconds, event["transport"], "write")

    def _on_write_error(self, event: Mapping[str, Any]) -> None:
        self._of["block_io_errors"].add(event["transport"], "write")

    def _on_verified(self, event: Mapping[str, Any]) -> None:
        self._of["writes_lost"].add(by=event["lost"])

    def _on_service(self, event: Mapping[str, Any]) -> None:
        self._of["serving"].set(event["kind"] == "service.start")
        if last := event.get("taken_from"):
            self._of["failovers"].add()
            if last in self._gone_since:
                length = event["t"] - self._gone_since.pop(last)
                self._of["failover_seconds"].observe(length / 1e9)

    def _on_late(self, _event: Mapping[str, Any]) -> None:
        self._of["timers_late"].add()

    def _on_reset(self, _event: Mapping[str, Any]) -> None:
        # The node lost power: it is a member of nothing that it knew of.
        self._of["membership_size"].set(0)
        self._of["serving"].set(0)

    def _on_events_lost(self, event: Mapping[str, Any]) -> None:
        self._of["hook_events_lost"].add(by=event["count"])

    _UPDATES = {  # noqa: RUF012 - a constant table
        "heartbeat.sent": _on_sent,
        "heartbeat.received": _on_received,
        "heartbeat.miss": _on_miss,
        "heartbeat.late": _on_late,
        "late": _on_late,
        "drop": _on_drop,
        "node.ejected": _on_ejected,
        "membership.view": _on_view,
        "service.start": _on_service,
        "service.stop": _on_service,
        "pressure.end": _on_pressure_end,
        "node.reset": _on_reset,
        "hook.events_lost": _on_events_lost,
        "write.ack": _on_write,
        "write.error": _on_write_error,
        "writes.verified": _on_verified,
    }
