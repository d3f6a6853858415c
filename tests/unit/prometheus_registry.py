"""A registry of prometheus_client that holds our families, so that the library can write them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from reserve_agent.exposition import Families
from reserve_agent.metrics import PREFIX


class _Collected(Collector):
    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            definition = family.definition
            made = Metric(PREFIX + definition.name, definition.text, definition.kind)
            for sample in family.samples():
                made.add_sample(sample.name, dict(sample.labels), sample.value)
            yield made


def registry_of(*exporters: Families) -> CollectorRegistry:
    """A fresh registry with the families of these exporters."""
    fresh = CollectorRegistry()
    for families in exporters:
        fresh.register(_Collected(families))
    return fresh
