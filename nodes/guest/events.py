"""What the guest says, as events for the history, with times of the host's clock. Pure."""

from __future__ import annotations

import os
from typing import Final

from nodes.guest.guest_clock import GuestClock
from nodes.guest.layout import Counters, Failure, Window
from nodes.guest.messages import Written
from reserve_agent.contract.events.guests import GuestCounted, GuestWindow
from reserve_agent.contract.events.writes import WriteAcknowledged, WriteFailed

_KINDS: Final = tuple(kind.name.lower() for kind in Failure)


def write(
    written: Written, clock: GuestClock, incarnation: int, transport: str
) -> WriteAcknowledged | WriteFailed:
    """Return what is to be reported of a write that ended."""
    t, seq = clock.host_ns(written.at_ns), int(written.sequence)
    if written.error:
        return WriteFailed(t=t, seq=seq, error=os.strerror(written.error), transport=transport)
    return WriteAcknowledged(
        t=t,
        seq=seq,
        incarnation=incarnation,
        block=int(written.block),
        blocks=int(written.blocks),
        submitted=clock.host_ns(written.begun_ns),
        transport=transport,
    )


def window(
    record: Window, number: int, offset_ns: int, asked_ns: int, demand: int | None
) -> GuestWindow:
    """Return what is to be reported of a window that ended.

    Args:
        record: The module's record of it.
        number: Number of the window since the boot.
        offset_ns: The host's clock minus the guest's.
        asked_ns: When the level was to be reached, by the host's clock.
        demand: Pages that others had to free; None: the window ended by time.
    """
    return GuestWindow(
        t=record.ended_ns + offset_ns,
        number=number,
        demand=demand,
        asked=asked_ns,
        begun=record.begun_ns + offset_ns,
        reached=record.reached_ns + offset_ns if record.reached_ns else None,
        ended=record.ended_ns + offset_ns,
        hold_ns=record.hold_us * 1000,
        requested_pages=record.requested_pages,
        reached_pages=record.reached_pages,
        low_pages=record.low_pages,
        ended_pages=record.ended_pages,
        taken_pages=record.taken_pages,
        refilled_pages=record.refilled_pages,
        highatomic_pages=record.highatomic_pages,
        failed=dict(zip(_KINDS, record.failed, strict=True)),
        oom_calls=record.oom_calls,
    )


def counted(counters: Counters, t: int, late_ns: int, channel_ns: int) -> GuestCounted:
    """Return what a kernel has counted, and how late the agent and the channel were."""
    return GuestCounted(
        t=t,
        failed=dict(zip(_KINDS, counters.failed, strict=True)),
        oom_calls=counters.oom_calls,
        direct_reclaims=counters.direct_reclaims,
        swapped_out_pages=counters.swapped_out_pages,
        swapped_in_pages=counters.swapped_in_pages,
        pfmemalloc_drops=counters.pfmemalloc_drops,
        rx_packets=counters.rx_packets,
        rx_dropped=counters.rx_dropped,
        rx_missed=counters.rx_missed,
        rx_fifo_errors=counters.rx_fifo_errors,
        tx_packets=counters.tx_packets,
        memalloc_sockets=counters.memalloc_sockets,
        late_ns=late_ns,
        channel_ns=channel_ns,
    )


def evidence(counters: Counters) -> tuple[int, ...]:
    """Return what rises when the kernel loses or delays something."""
    return (
        *counters.failed,
        counters.oom_calls,
        counters.direct_reclaims,
        counters.pfmemalloc_drops,
        counters.rx_dropped,
        counters.rx_missed,
        counters.rx_fifo_errors,
    )
