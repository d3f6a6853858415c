"""What becomes of a receive buffer."""

from __future__ import annotations

from enum import Enum, auto


class Fate(Enum):
    """What becomes of a receive buffer, where the service time alone does not say it.

    DROPPED: its pages are free at once. WAITS: its reader is a normal task that stalls until the
    pressure ends. HOARDED: its reader does not read.
    """

    DROPPED = auto()
    WAITS = auto()
    HOARDED = auto()
