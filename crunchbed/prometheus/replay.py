"""Makes a run's metrics again from its history, as a Prometheus would have scraped them.

The exporters are those of a live run, and observe the recorded events. Two things are better known
than in a live run: the cause of every miss, and the pool at the begin and the end of pressure, even
between two samples. One thing is known worse: the history has the hooks' packet counters at its end
only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from crunchbed.backends.common.targets import labels_of
from crunchbed.checks.causes import cause_of_each
from crunchbed.history.history import History
from crunchbed.prometheus.openmetrics import MILLISECOND, Timeline
from crunchbed.prometheus.server import JOB
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import HeartbeatMissed
from reserve_agent.contract.events.pressure import (
    PacketCount,
    PacketsCounted,
    PoolConfigured,
    PoolSampled,
    PressureBegan,
    PressureEnded,
)
from reserve_agent.contract.events.run import RunInfo
from reserve_agent.contract.events.switches import SwitchPacketsCounted, SwitchRow
from reserve_agent.contract.packets import Hook, PacketClass, Reason
from reserve_agent.errors import BadInput
from reserve_agent.exporter import Exporter, PacketCounts
from reserve_agent.switch_exporter import CONTROLLER, SwitchExporter

_CLASSES = {cls.label: cls for cls in PacketClass}
_OF_A_SCRAPE = "crunchbed_scrape_seconds"  # nobody scraped


class Clock(NamedTuple):
    """One moment by two clocks, nanoseconds each."""

    monotonic: int
    unix: int

    @classmethod
    def of(cls, history: History) -> Clock:
        """Return the moment that the run has recorded; BadInput where it ended before that."""
        for event in history.of(RunInfo):
            if (found := cls.read(event.clock)) is not None:
                return found
        raise BadInput("the history does not say when the run was: it has no run.info with a clock")

    @classmethod
    def read(cls, record: object) -> Clock | None:
        """Return the moment that a record has; None: it has none."""
        if isinstance(record, Mapping) and {"monotonic_ns", "unix_ns"} <= record.keys():
            return cls(record["monotonic_ns"], record["unix_ns"])
        return None

    def unix_of(self, t: int) -> int:
        """Return the time of an event in nanoseconds since 1970."""
        return self.unix + t - self.monotonic


class _Node:
    """One node's exporter, and the counters that the exporter reads."""

    def __init__(self, name: str, run: str, scenario: str) -> None:
        self._pool = {"free": 0, "reserve": 0, "dirty": 0, "low_water": 0, "pressure": 0}
        self._packets: PacketCounts = {}
        self.known = False
        packets, pool = (lambda: self._packets), self._pool.__getitem__
        self.exporter = Exporter(name, run, scenario, packets, pool)

    def apply(self, event: Event) -> None:
        match event:
            case PoolConfigured():
                self._configure(event)
            case PoolSampled():
                self._pool.update(free=event.free, dirty=event.dirty, low_water=event.low_water)
            case PressureBegan():
                self._pool.update(free=event.free, pressure=1)
            case PressureEnded():
                self._pool["pressure"] = 0
            case PacketsCounted():
                self._packets = {_key(row): (row["packets"], row["pages"]) for row in event.table}
        self.exporter.observe(event)

    def _configure(self, event: PoolConfigured) -> None:
        self._pool["reserve"] = event.reserve
        if not self.known:
            free = event.total - event.clean
            self._pool.update(free=free, low_water=free)
        self.known = True


def _key(row: PacketCount) -> tuple[Hook, PacketClass, Reason]:
    return Hook[row["hook"].upper()], _CLASSES[row["class"]], Reason[row["reason"].upper()]


class _Controller:
    """The switches' exporter; it is scraped only where the run has a controller."""

    def __init__(self) -> None:
        self._counts: dict[str, Sequence[SwitchRow]] = {}
        self.known = False
        self.exporter = SwitchExporter(lambda: self._counts)

    def apply(self, event: Event) -> None:
        self.known = True
        if isinstance(event, SwitchPacketsCounted):
            self._counts = {"table": event.table, "dropped": event.dropped}
        self.exporter.observe(event)


def replay(
    history: History,
    scenario: Scenario,
    run: str,
    interval_ns: int,
    made: Clock | None = None,
) -> Timeline:
    """Scrape a run that is over; BadInput where nobody says when it was.

    ``made`` is when it was, of a history that does not say so: a simulated run's is the same on
    every day. One more scrape, after those at every ``interval_ns``, is made at its end.
    """
    clock = made or Clock.of(history)
    timeline = Timeline({"job": JOB, **labels_of(run, scenario)})
    nodes: dict[str, _Node | _Controller] = {
        name: _Node(name, run, scenario.name) for name in scenario.node_names
    }
    nodes[CONTROLLER] = _Controller()
    causes = {
        id(miss): cause for miss, cause in cause_of_each(history, scenario.heartbeat.interval)
    }
    due = history.span.start + interval_ns
    for event in history.events:
        while due < event.t:
            _scrape(nodes, clock.unix_of(due), timeline)
            due += interval_ns
        if event.node in nodes:
            nodes[event.node].apply(_with_cause(event, causes))
    # Prometheus refuses the second of two points in one millisecond.
    end = max(history.span.end, due - interval_ns + MILLISECOND)
    _scrape(nodes, clock.unix_of(end), timeline)
    return timeline


def _with_cause(event: Event, causes: Mapping[int, str]) -> Event:
    """Return the event; of a miss that was judged, one that says its cause."""
    if isinstance(event, HeartbeatMissed) and id(event) in causes:
        return replace(event, cause=causes[id(event)])
    return event


def _scrape(nodes: Mapping[str, _Node | _Controller], unix_ns: int, timeline: Timeline) -> None:
    for name, node in nodes.items():
        if node.known:
            samples = node.exporter.samples()
            shown = (one for one in samples if not one.name.startswith(_OF_A_SCRAPE))
            timeline.add(unix_ns, name, shown)
