"""The names of the policies and classes that a scenario may use: the one list of each."""

from __future__ import annotations

from typing import Final

POLICIES: Final[tuple[str, ...]] = (
    "none",
    "softnet",
    "memalloc",
    "mempool",
    "critical",
)
"""Rule sets a node can follow under memory pressure (design, section 3)."""

CLASSES: Final[tuple[str, ...]] = ("block-io", "heartbeat", "control", "other")
"""What a packet can be (design, section 1)."""

MEMALLOC_CLASSES: Final[tuple[str, ...]] = ("block-io", "heartbeat")
"""Classes whose sockets a scenario may flag as memalloc: both are throttled by their users."""
