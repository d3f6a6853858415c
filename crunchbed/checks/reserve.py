"""The reserve: its size, how low the pool's free pages went, and who found none."""

from __future__ import annotations

from collections import Counter
from typing import Final

from crunchbed.history.history import History
from reserve_agent.contract.events.guests import GuestCounted
from reserve_agent.contract.events.pressure import PoolConfigured, PoolSampled, ReserveUsersCounted

_FRAGMENTS: Final = "memalloc_fragment"


def reserve_pages(history: History, node: str) -> int | None:
    """Return the size of the node's reserve as last configured, in pages."""
    configured = history.of(PoolConfigured, node)
    return configured[-1].reserve if configured else None


def users(history: History, node: str) -> dict[str, int]:
    """Return the pages that each socket got from the reserve, most first.

    Sockets of all boots of the node; the name of a socket is its protocol and port, the class of
    its packets, and whether it has the memalloc flag.
    """
    pages: Counter[str] = Counter()
    for event in history.of(ReserveUsersCounted, node):
        for row in event.table:
            port = row["remote_port"] or row["local_port"]
            flag = "memalloc" if row["memalloc"] else "no flag"
            pages[f"{row['protocol']} {port} ({row['cls']}, {flag})"] += row["pages"]
    return dict(pages.most_common())


def low_water_pages(history: History, node: str) -> int | None:
    """Return the fewest pages that were ever free on the node."""
    samples = history.of(PoolSampled, node)
    return min((sample.low_water for sample in samples), default=None)


def memalloc_failures(history: History, node: str) -> int | None:
    """Return how often a request that may take every page found none, over all boots of a node.

    Requests for one page alone: who asks for several tries single ones next. None where nobody
    counted: no kernel of the node's own, or a guest that counted both together.
    """
    found, before = 0, 0
    counted = history.of(GuestCounted, node)
    if not counted or any(_FRAGMENTS not in event.failed for event in counted):
        return None
    for event in counted:
        now = event.failed["memalloc"]
        found += now - before if now >= before else now  # counts begin again at a boot
        before = now
    return found
