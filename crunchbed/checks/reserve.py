"""The reserve: its size, and how low the pool's free pages went."""

from __future__ import annotations

from crunchbed.history import History


def reserve_pages(history: History, node: str) -> int | None:
    """Return the size of the node's reserve as last configured, in pages."""
    sizes = [e.data["reserve"] for e in history.of("pool.config", node) if "reserve" in e.data]
    return sizes[-1] if sizes else None


def low_water_pages(history: History, node: str) -> int | None:
    """Return the fewest pages that were ever free on the node."""
    samples = history.of("pool.sample", node)
    return min((e.data["low_water"] for e in samples if "low_water" in e.data), default=None)
