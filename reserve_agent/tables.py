"""Counters and sockets of the hooks as rows for the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reserve_agent.hooks.audit import SocketSeen
from reserve_agent.hooks.layout import Hook, PacketClass, Reason


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
