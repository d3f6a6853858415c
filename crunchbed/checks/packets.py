"""Packets by class, verdict and reason, as the hooks counted them.

A hook says ``pass`` or ``drop``. Here a packet that passed is ``received``, ``delivered`` or
``sent``, by its hook, so that within one verdict no packet is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from crunchbed.checks.figures import Packets
from crunchbed.history.history import History
from reserve_agent.contract.events.pressure import PacketCount, PacketsCounted

_PASSED: Final[Mapping[str, str]] = {
    "receive": "received",
    "deliver": "delivered",
    "transmit": "sent",
}


def packets(history: History, node: str) -> Packets:
    """Return the node's counts."""
    return _nest(
        (row["class"], _verdict(row), row["reason"], row["packets"]) for row in rows(history, node)
    )


def rows(history: History, node: str) -> Sequence[PacketCount]:
    """Return the rows of the node's last ``packets`` event, which is cumulative."""
    events = history.of(PacketsCounted, node)
    return events[-1].table if events else ()


def added(tables: Iterable[Packets]) -> Packets:
    """Return the sum of several nodes' counts."""
    return _nest(
        (cls, verdict, reason, count)
        for table in tables
        for cls, verdicts in table.items()
        for verdict, reasons in verdicts.items()
        for reason, count in reasons.items()
    )


def _verdict(row: PacketCount) -> str:
    return _PASSED[row["hook"]] if row["verdict"] == "pass" else "dropped"


def _nest(rows: Iterable[tuple[str, str, str, int]]) -> Packets:
    """Return rows of class, verdict, reason and packets as figures have them."""
    found: Packets = {}
    for cls, verdict, reason, count in rows:
        reasons = found.setdefault(cls, {}).setdefault(verdict, {})
        reasons[reason] = reasons.get(reason, 0) + count
    return found
