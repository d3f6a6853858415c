"""One thing that puts a machine at risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Severity = Literal["error", "warning", "note"]
"""``error``: the machine can stand still. ``warning``: it can lose packets, or its place in a
cluster. ``note``: worth knowing, and no risk by itself."""
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """What is wrong with what, how that is known, and what to do.

    Attributes:
        kind: One of ``KINDS``.
        subject: The card, device, daemon or counter.
        seen: The file and its value.
        rule: The line of a kernel's source that makes it matter; empty where none does.
        next: What to do.
    """

    severity: Severity
    kind: str
    subject: str
    text: str
    seen: str
    next: str
    rule: str = ""

    @property
    def is_risk(self) -> bool:
        """Whether it counts for the exit code."""
        return self.severity != "note"


KINDS: Final = {
    "swap_not_memalloc": "swap is written over a socket that is not memalloc",
    "swap_on_network": "swap is written over a memalloc socket",
    "storage_not_memalloc": "a device or mount in use sends by a socket that is not memalloc",
    "card_never_draws": "a card never lets a packet come from the reserve",
    "card_draws_small_only": "a card does so for small packets alone",
    "card_not_known": "nobody has read the card's driver",
    "reserve_too_small": "memalloc sockets may find the reserve empty",
    "not_throttled": "anybody may draw on the reserve through a memalloc socket",
    "daemon_not_memalloc": "a cluster daemon hears nothing in a crunch",
    "daemon_not_locked": "a cluster daemon can itself be swapped out",
    "locks_not_memalloc": "cluster locks of the kernel are sent by sockets that are not memalloc",
    "packets_dropped": "packets from the reserve were dropped",
    "reclaim_throttled": "half of the reserve was gone at some time",
    "allocation_failed": "the kernel's log tells of allocations that failed",
    "oom_killed": "processes were killed for want of memory",
}
"""What each kind of finding means."""
