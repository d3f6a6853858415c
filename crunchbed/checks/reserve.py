"""The reserve: its size, and how low the pool's free pages went."""

from __future__ import annotations

from collections import Counter

from crunchbed.history.history import History


def reserve_pages(history: History, node: str) -> int | None:
    """Return the size of the node's reserve as last configured, in pages."""
    sizes = [e.data["reserve"] for e in history.of("pool.config", node) if "reserve" in e.data]
    return sizes[-1] if sizes else None


def users(history: History, node: str) -> dict[str, int]:
    """Return the pages that each socket was handed from the reserve, most first.

    Sockets of all boots of the node; named by protocol and ports, and by what the rules call
    their packets.
    """
    pages: Counter[str] = Counter()
    for event in history.of("reserve.users", node):
        for row in event.data["table"]:
            port = row["remote_port"] or row["local_port"]
            flag = "memalloc" if row["memalloc"] else "no flag"
            pages[f"{row['protocol']} {port} ({row['cls']}, {flag})"] += row["pages"]
    return dict(pages.most_common())


def low_water_pages(history: History, node: str) -> int | None:
    """Return the fewest pages that were ever free on the node."""
    samples = history.of("pool.sample", node)
    return min((e.data["low_water"] for e in samples if "low_water" in e.data), default=None)
