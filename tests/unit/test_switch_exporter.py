"""What the controller of the switches exports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reserve_agent.contract.events.switches import (
    ControllerReady,
    OpenFlowMalformed,
    PressureRefused,
    ShedApplied,
)
from reserve_agent.switch_exporter import SwitchExporter
from tests.unit.prometheus_registry import registry_of

COUNTS: dict[str, list[list[Any]]] = {
    "table": [["n1", "block-io", 10, 900], ["n1", "block-io", 5, 450], ["n2", "other", 1, 60]],
    "dropped": [["n1", "other", 3, 300]],
}
SECOND = 1_000_000_000


class Controller:
    def __init__(self) -> None:
        self.counts = COUNTS
        self.exporter = SwitchExporter(lambda: self.counts)
        self.registry = registry_of(self.exporter)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"crunchbed_{name}", labels)


def test_packets_of_a_node_are_added_over_the_switches() -> None:
    seen = Controller()
    assert seen.value("switch_packets_total", node="n1", **{"class": "block-io"}) == 15
    assert seen.value("switch_packets_total", node="n2", **{"class": "other"}) == 1
    assert seen.value("switch_drops_total", node="n1", **{"class": "other"}) == 3
    seen.counts = {"table": [["n2", "other", 9, 600]], "dropped": []}
    assert seen.value("switch_packets_total", node="n2", **{"class": "other"}) == 9


def test_shedding_is_shown_while_it_lasts_and_timed_from_the_pressure() -> None:
    seen = Controller()
    began = ShedApplied(target="n2", on=True, pressure_at=SECOND, in_force_at=SECOND + SECOND // 4)
    seen.exporter.observe(began)
    assert seen.value("switch_shedding", node="n2") == 1
    seen.exporter.observe(replace(began, on=False, in_force_at=3 * SECOND))
    assert seen.value("switch_shedding", node="n2") == 0
    assert seen.value("switch_reaction_seconds_count", node="n2") == 1
    assert seen.value("switch_reaction_seconds_sum", node="n2") == 0.25


def test_what_the_controller_did_not_believe_is_counted_from_zero() -> None:
    seen = Controller()
    for name in ("pressure_messages_refused_total", "openflow_malformed_total"):
        assert seen.value(name, node="controller") == 0
    seen.exporter.observe(PressureRefused(reason="unknown node", count=3))
    seen.exporter.observe(OpenFlowMalformed(reason="bytes"))
    seen.exporter.observe(ControllerReady())
    assert seen.value("pressure_messages_refused_total", node="controller") == 3
    assert seen.value("openflow_malformed_total", node="controller") == 1
    seen.exporter.observe(OpenFlowMalformed(reason="bytes", count=4))
    assert seen.value("openflow_malformed_total", node="controller") == 5
