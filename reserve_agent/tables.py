"""What the hooks have counted, as events for the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from reserve_agent.contract.events.pressure import PacketsCounted, PoolSampled, ReserveUsersCounted
from reserve_agent.contract.packets import Hook, PacketClass, Reason

if TYPE_CHECKING:
    from reserve_agent.hooks.audit import SocketSeen  # with the hooks' loader


def sampled(pool: Mapping[str, int]) -> PoolSampled:
    """The counters of a pool that are written down every now and then."""
    values: dict[str, Any] = {name: pool[name] for name, _ in PoolSampled.shape.keys}
    return PoolSampled(**values)


def packets_counted(
    counters: Mapping[tuple[Hook, PacketClass, Reason], tuple[int, int]],
) -> PacketsCounted:
    """The packets and pages that each hook, class and reason has counted."""
    return PacketsCounted(
        table=[
            {
                "hook": hook.name.lower(),
                "class": cls.label,
                "verdict": reason.verdict,
                "reason": reason.name.lower(),
                "packets": count,
                "pages": pages,
            }
            for (hook, cls, reason), (count, pages) in counters.items()
        ]
    )


def reserve_users(seen: Iterable[SocketSeen]) -> ReserveUsersCounted:
    """The sockets that pages of the reserve went to."""
    return ReserveUsersCounted(
        table=[
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
    )
