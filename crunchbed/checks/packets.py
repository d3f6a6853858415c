"""Packets by class, verdict and reason, as the hooks counted them.

A hook says ``pass`` or ``drop``; here a packet that passed is ``received``, ``delivered`` or
``sent`` by the hook it passed, so that within one verdict no packet is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from crunchbed.checks.figures import Packets
from crunchbed.history.history import History

_PASSED: Final[Mapping[str, str]] = {
    "receive": "received",
    "deliver": "delivered",
    "transmit": "sent",
}


def packets(history: History, node: str) -> Packets:
    """Return the node's counts from its last ``packets`` event, which is cumulative."""
    events = history.of("packets", node)
    return _nest(events[-1].data["table"]) if events else {}


def added(tables: Iterable[Packets]) -> Packets:
    """Return the sum of several nodes' counts."""
    return _nest(
        {"class": cls, "verdict": verdict, "reason": reason, "packets": count}
        for table in tables
        for cls, verdicts in table.items()
        for verdict, reasons in verdicts.items()
        for reason, count in reasons.items()
    )


def _nest(rows: Iterable[Mapping[str, Any]]) -> Packets:
    found: Packets = {}
    for row in rows:
        verdict = row["verdict"]
        if verdict == "pass":
            verdict = _PASSED[row["hook"]]
        elif verdict == "drop":
            verdict = "dropped"
        reasons = found.setdefault(row["class"], {}).setdefault(verdict, {})
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["packets"]
    return found
