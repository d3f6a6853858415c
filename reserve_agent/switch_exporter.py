"""Metrics of the switches, as their controller knows them. ``metrics.py`` says which there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.switches import OpenFlowMalformed, PressureRefused, ShedApplied
from reserve_agent.exposition import Families, Family, Rows
from reserve_agent.metrics import SWITCH_METRICS

CONTROLLER = "controller"
Row = Sequence[Any]
"""Node that the packets were for, class, packets, bytes."""


class SwitchExporter(Families):
    """The metrics that a run's controller exports.

    ``read`` returns the counters of the switches: rows of ``table`` and of ``dropped``. It is
    called at every scrape, from another thread, and may return what it has returned before.
    """

    def __init__(self, read: Callable[[], Mapping[str, Sequence[Row]]]) -> None:
        self._read = read
        self._seen: Mapping[str, Sequence[Row]] = {}
        readers: dict[str, Callable[[], Rows]] = {
            "switch_packets": lambda: self._rows(self._counts(), "table"),
            # From the same counters: a scrape asks the switches once.
            "switch_drops": lambda: self._rows(self._seen, "dropped"),
        }
        super().__init__(Family(one, {}, readers.get(one.name)) for one in SWITCH_METRICS)
        for name in ("pressure_messages_refused", "openflow_malformed"):
            self._of[name].add(CONTROLLER, by=0)

    def _counts(self) -> Mapping[str, Sequence[Row]]:
        self._seen = self._read()
        return self._seen

    @staticmethod
    def _rows(counts: Mapping[str, Sequence[Row]], table: str) -> Rows:
        totals: dict[tuple[str, str], int] = {}
        for node, cls, packets, *_ in counts.get(table, ()):
            totals[node, cls] = totals.get((node, cls), 0) + packets
        return totals.items()

    def observe(self, event: Event) -> None:
        """Update the metrics from one event of the controller's history."""
        match event:
            case ShedApplied():
                self._of["switch_shedding"].set(int(event.on), event.target)
                if event.on:
                    reaction = (event.in_force_at - event.pressure_at) / 1e9
                    self._of["switch_reaction_seconds"].observe(reaction, event.target)
            case PressureRefused():
                self._of["pressure_messages_refused"].add(CONTROLLER, by=event.count)
            case OpenFlowMalformed():
                self._of["openflow_malformed"].add(CONTROLLER, by=event.count)
