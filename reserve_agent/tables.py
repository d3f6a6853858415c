"""Counters and sockets of the hooks as rows for the history, and the pool's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reserve_agent.contract.packets import Hook, PacketClass, Reason
from reserve_agent.hooks.audit import SocketSeen

_SAMPLED = ("free", "dirty", "demand", "rx_running", "rx_stalled", "hoarded", "tx", "low_water")


def sample(pool: Mapping[str, int]) -> dict[str, int]:
    """What of a pool's counters is written down every now and then."""
    return {name: pool[name] for name in _SAMPLED}


def packets(
    counters: Mapping[tuple[Hook, PacketClass, Reason], tuple[int, int]],
) -> list[dict[str, Any]]:
    """One row for each hook, class and reason: packets on the wire and their pages."""
    return [
        {
            "hook": hook.name.lower(),
            "class": cls.label,
            "verdict": "pass" if reason.passed else "drop",
            "reason": reason.name.lower(),
            "packets": count,
            "pages": pages,
        }
        for (hook, cls, reason), (count, pages) in counters.items()
    ]


def reserve_users(seen: Iterable[SocketSeen]) -> list[dict[str, Any]]:
    """One row for each socket that the reserve went to."""
    return [
        {
            "protocol": one.protocol,
            "cls": one.cls,
            "local_port": one.local_port,
            "remote_port": one.remote_port,
            "memalloc": one.memalloc,
            "pages": one.reserve_pages,
        }
        for one in seen
        if one.reserve_pages
    ]
