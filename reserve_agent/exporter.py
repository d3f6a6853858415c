"""One node's metrics, moved by the events of its history. ``metrics.py`` says which there are.

Counters live in the agent, which outlives its node: they survive a node's reboot. They survive the
agent too: its successor first observes all that is in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from reserve_agent.contract.events import (
    faults,
    guests,
    heartbeats,
    membership,
    pressure,
    writes,
)
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.packets import DROP_CAUSES, Hook, PacketClass, Reason
from reserve_agent.exposition import Families, Family, Rows
from reserve_agent.guest_packets import GuestPackets
from reserve_agent.metrics import NODE_METRICS

PacketCounts = Mapping[tuple[Hook, PacketClass, Reason], tuple[int, int]]
_POOL = {
    "pages_free": "free",
    "pages_reserved": "reserve",
    "pages_dirty": "dirty",
    "pages_low_water": "low_water",
    "pressure_active": "pressure",
}
_KEPT_DROPS = 1024
_PACKET_LABELS = {
    (hook, cls, reason): (hook.name.lower(), cls.label, reason.verdict, reason.name.lower())
    for hook, cls, reason in product(Hook, PacketClass, Reason)
}


class Exporter(Families):
    """The metrics of ``node``; ``run`` (its id) and ``scenario`` are labels of the info metric.

    At a scrape ``read_packets`` returns the hooks' packet counters, and ``read_pool`` a counter of
    the pool by its name in ``layout.POOL_FIELDS``. The packets of a machine, which no hook counts,
    come from the events with its kernel's counters.
    """

    def __init__(
        self,
        node: str,
        run: str,
        scenario: str,
        read_packets: Callable[[], PacketCounts],
        read_pool: Callable[[str], int],
    ) -> None:
        self._node = node
        self._run, self._scenario = run, scenario
        self._read_packets = read_packets
        self._read_pool = read_pool
        self._guest = GuestPackets()
        readers = {"packets": self._packets, **{name: self._pool(name) for name in _POOL}}
        fixed = {"node": node}
        super().__init__(Family(one, fixed, readers.get(one.name)) for one in NODE_METRICS)
        self._out_since: int | None = None
        self._gone_since: dict[str, int] = {}
        self._drops: dict[str, str] = {}
        self._begin()

    def _begin(self) -> None:
        """Set counters to 0 from the start, so that the first event is a rise."""
        for one in NODE_METRICS:
            if one.kind == "counter" and not one.labels:
                self._of[one.name].add(by=0)
            elif one.kind == "histogram" and not one.labels:
                self._of[one.name].open()
        for false in ("true", "false"):
            self._of["nodes_ejected"].add("heartbeats_missed", false, by=0)
        self._of["serving"].set(0)

    def _packets(self) -> Rows:
        for key, (count, _) in self._read_packets().items():
            yield _PACKET_LABELS[key], count
        yield from self._guest.rows()

    def _pool(self, name: str) -> Callable[[], Rows]:
        field = _POOL[name]
        return lambda: [((), self._read_pool(field))]

    def took(self, seconds: float) -> None:
        """Note how long an answer to a scraper took to make."""
        self._of["scrape_seconds"].observe(seconds)

    def observe(self, event: Event) -> None:
        """Update the metrics from one event of the node's history."""
        of = self._of
        match event:
            case pressure.PoolConfigured():
                of["run"].only(self._run, self._scenario, event.policy)
            case heartbeats.HeartbeatSent(peers=peers):
                of["heartbeats_sent"].add(by=peers if isinstance(peers, int) else len(peers))
            case heartbeats.HeartbeatReceived():
                counts = event.counts
                for peer, count in counts.items() if isinstance(counts, Mapping) else ():
                    of["heartbeats_received"].add(peer, by=count)
            case heartbeats.HeartbeatMissed():
                cause = event.cause or self._drops.get(event.tag or "", "unknown")
                of["heartbeats_missed"].add(event.peer or "unknown", cause)
            case heartbeats.HeartbeatLate():
                of["timers_late"].add()
            case pressure.PacketDropped():
                self._on_drop(event)
            case pressure.HookEventsLost():
                of["hook_events_lost"].add(by=event.count)
            case pressure.PressureEnded():
                of["pressure_duration_seconds"].observe(event.duration_ns / 1e9)
            case writes.WriteAcknowledged():
                seconds = (event.t - event.submitted) / 1e9
                of["block_io_seconds"].observe(seconds, event.transport, "write")
            case writes.WriteFailed():
                of["block_io_errors"].add(event.transport, "write")
            case writes.WritesVerified():
                of["writes_lost"].add(by=event.lost)
            case _:
                self._follow(event)

    def _follow(self, event: Event) -> None:
        """Update what tells whether the node is a member, whether it serves, and its packets."""
        match event:
            case membership.NodeEjected():
                self._on_ejected(event)
            case membership.ViewInstalled():
                self._on_view(event)
            case writes.ServiceStarted():
                self._on_service_start(event)
            case writes.ServiceStopped():
                self._of["serving"].set(0)
            case faults.NodeReset():  # without power it is a member of nothing that it knew of
                self._of["membership_size"].set(0)
                self._of["serving"].set(0)
            case guests.GuestReady():
                self._guest.booted()
            case guests.GuestCounted():
                self._guest.counted(event)

    def _on_drop(self, event: pressure.PacketDropped) -> None:
        """Remember the latest heartbeats that this node's own hooks have dropped."""
        if event.cls != "heartbeat" or event.hook == "transmit":
            return
        self._drops[event.tag] = DROP_CAUSES.get(event.reason, "unknown")
        if len(self._drops) > _KEPT_DROPS:
            del self._drops[next(iter(self._drops))]

    def _on_ejected(self, event: membership.NodeEjected) -> None:
        self._of["nodes_ejected"].add(event.reason, str(event.false).lower())
        if event.delay_ns is not None:
            self._of["detection_delay_seconds"].observe(event.delay_ns / 1e9)
        self._out_since = event.t

    def _on_view(self, event: membership.ViewInstalled) -> None:
        self._of["membership_size"].set(event.size)
        self._gone_since |= dict.fromkeys(event.removed, event.t)
        if self._out_since is not None and self._node in event.names:
            self._of["recovery_seconds"].observe((event.t - self._out_since) / 1e9)
            self._of["flaps"].add()
            self._out_since = None

    def _on_service_start(self, event: writes.ServiceStarted) -> None:
        self._of["serving"].set(1)
        if event.taken_from:
            self._of["failovers"].add()
            if event.taken_from in self._gone_since:
                length = event.t - self._gone_since.pop(event.taken_from)
                self._of["failover_seconds"].observe(length / 1e9)
