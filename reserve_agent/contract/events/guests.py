"""Nodes that are machines: their clocks, and what their kernels count."""

from __future__ import annotations

from collections.abc import Mapping

from reserve_agent.contract.events.base import Event


class GuestReady(Event, kind="guest.ready"):
    """The agent in a node's guest has begun its work.

    Attributes:
        kernel: Release of the guest's kernel.
        uptime_ns: How long the boot took by the guest's own clock, nanoseconds.
    """

    kernel: str
    uptime_ns: int


class GuestClockCompared(Event, kind="guest.clock"):
    """How the guest's CLOCK_MONOTONIC compares with the host's, which all times here are of.

    Attributes:
        offset_ns: The host's clock minus the guest's, nanoseconds.
        bound_ns: By how much the offset may be wrong at most, nanoseconds.
    """

    offset_ns: int
    bound_ns: int


class GuestWindow(Event, kind="guest.window"):
    """A window of memory pressure that the guest's module has held; pages of the largest zone.

    Attributes:
        number: Number of the window since the guest's boot, from 0.
        demand: Pages that others had to free until the window ended; None: it ended by time.
        asked: When the level was to be reached, nanoseconds of CLOCK_MONOTONIC.
        begun: When the module began to take pages.
        reached: When the level was reached; None: it never was.
        ended: When the module began to give the pages back.
        hold_ns: How long the level was to be held, nanoseconds.
        requested_pages: Free pages that were to be left.
        reached_pages: Free pages when the level was reached.
        low_pages: Fewest free pages while the level was held.
        ended_pages: Free pages when the window ended.
        taken_pages: Pages that the module took on the way to the level.
        refilled_pages: Pages that others freed meanwhile and the module took as well.
        highatomic_pages: Pages that the kernel had reserved for high-order atomic allocations.
        failed: Allocations that failed in the window, by kind, as in ``guest.counters``.
        oom_calls: How often somebody wanted the OOM killer.
    """

    number: int
    demand: int | None = None
    asked: int
    begun: int
    reached: int | None = None
    ended: int
    hold_ns: int
    requested_pages: int
    reached_pages: int
    low_pages: int
    ended_pages: int
    taken_pages: int
    refilled_pages: int
    highatomic_pages: int
    failed: Mapping[str, int]
    oom_calls: int


class GuestCounted(Event, kind="guest.counters"):
    """What a guest's kernel has counted since its boot; recorded when the evidence of a loss rises.

    Attributes:
        failed: Failed allocations by kind: ``atomic`` (one page, for a packet as a rule),
            ``fragment`` (several pages at once), ``nowait``, ``memalloc`` (one page, and not one
            was left), ``blocking``, ``memalloc_fragment`` (several pages for who may take all of
            them; single pages may be left). Without ``memalloc_fragment``, as older guests told
            it, ``memalloc`` has both.
        oom_calls: How often somebody wanted the OOM killer.
        direct_reclaims: How often a task had to reclaim pages itself.
        swapped_out_pages: Pages that were swapped out.
        swapped_in_pages: Pages that were swapped in.
        pfmemalloc_drops: Packets from the reserve that were for no memalloc socket
            (PFMemallocDrop).
        rx_packets: Packets that the network card received.
        rx_dropped: Packets that its driver dropped.
        rx_missed: Packets that the card had no buffer for.
        rx_fifo_errors: Packets that the card had no room for.
        tx_packets: Packets that it sent.
        memalloc_sockets: Sockets that may draw on the reserve, now.
        late_ns: Longest time for which the guest's agent stood still since the event before,
            nanoseconds.
        channel_ns: Longest time from the reading of a packet by the guest's agent until the
            membership beside the guest had it, since the event before, nanoseconds; None: not
            known.
    """

    failed: Mapping[str, int]
    oom_calls: int
    direct_reclaims: int
    swapped_out_pages: int
    swapped_in_pages: int
    pfmemalloc_drops: int
    rx_packets: int
    rx_dropped: int
    rx_missed: int
    rx_fifo_errors: int
    tx_packets: int
    memalloc_sockets: int
    late_ns: int
    channel_ns: int | None = None
