"""A registry of prometheus_client with our families in it: the library writes them too."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from reserve_agent.exposition import Families


def registry_of(*exporters: Families) -> CollectorRegistry:
    """A fresh registry with the families of these exporters."""
    fresh = CollectorRegistry()
    for families in exporters:
        fresh.register(families)
    return fresh
