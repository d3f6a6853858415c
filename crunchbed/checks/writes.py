"""Block writes: how many, how slow, how long none was acknowledged, and how many were lost."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from crunchbed.checks.lives import lives
from crunchbed.history.history import History, Interval, remembered
from reserve_agent.contract.events.pressure import PoolSampled
from reserve_agent.contract.events.run import DaemonReady
from reserve_agent.contract.events.writes import VerifyResult, WriteAcknowledged, WriteWaits
from reserve_agent.contract.packets import PAGE_BYTES


@remembered
def latencies_ns(history: History, node: str) -> list[int]:
    """Return the time from submission to acknowledgement of every write, sorted."""
    return sorted(ack.t - ack.submitted for ack in history.of(WriteAcknowledged, node))


def percentile_seconds(sorted_ns: Sequence[int], share: float) -> float | None:
    """Return the nearest-rank percentile (``share`` 0.99 = p99); None without a value."""
    if not sorted_ns:
        return None
    return sorted_ns[math.ceil(share * len(sorted_ns)) - 1] / 1e9


def latency_figures(sorted_ns: Sequence[int]) -> dict[str, Any]:
    """Return the figures of these latencies, by name."""
    return {
        "io_p50_seconds": percentile_seconds(sorted_ns, 0.50),
        "io_p99_seconds": percentile_seconds(sorted_ns, 0.99),
    }


def longest_stall_seconds(
    history: History, node: str, request_bytes: int, within: Interval | None = None
) -> float | None:
    """Return the longest of ``stalls``; None where nothing was written or waited.

    Of a stall that began or ended outside of ``within`` the part inside counts.
    """
    gaps = _gaps(history, node, request_bytes, history.measured if within is None else within)
    longest = max((end - start for start, end in gaps), default=None)
    return None if longest is None else longest / 1e9


def stalls(history: History, node: str, request_bytes: int, shortest_ns: int) -> list[Interval]:
    """Return every time in which writes were outstanding and none was acknowledged, by time.

    A write is outstanding from its submission to its acknowledgement. A write that is never
    acknowledged has no such event. At the end of a node's life such writes show in the samples, as
    at least a request of dirty pages that waits to be written, and as ``write.waits``. A node
    that had no disk yet since its boot has submitted none.

    Args:
        history: the run.
        node: the node that wrote.
        request_bytes: size of a write.
        shortest_ns: shorter stalls are left out.
    """
    found = _gaps(history, node, request_bytes, history.measured)
    return sorted(Interval(*one) for one in found if one[1] - one[0] >= shortest_ns)


@remembered
def _gaps(
    history: History, node: str, request_bytes: int, within: Interval
) -> list[tuple[int, int]]:
    """Return begin and end of every gap; plain numbers, since there may be a million."""
    acks = history.of(WriteAcknowledged, node)
    times = [ack.t for ack in acks]
    request_pages = max(1, request_bytes // PAGE_BYTES)
    found: list[tuple[int, int]] = []
    for whole in lives(history, node):
        life = whole.clip(within)
        if life is None:
            continue
        first, last = bisect_left(times, life.start), bisect_left(times, life.end)
        found += _closed_gaps(acks[first:last], times[first:last], life)
        begin = times[last - 1] if last > first else life.start
        begin = max(begin, _connected(history, node, whole))
        if begin < life.end:
            found += _open_gap(history, node, life, begin, request_pages)
    return found


def _connected(history: History, node: str, life: Interval) -> int:
    """Return when a node had its disk: before, it has submitted nothing. ``life.end``: never.

    A history from before there was such an event has it for no life.
    """
    ready = [one.t for one in history.of(DaemonReady, node) if one.name == "initiator"]
    return next((t for t in ready if t in life), life.end) if ready else life.start


def _open_gap(
    history: History, node: str, life: Interval, begin: int, request_pages: int
) -> Iterator[tuple[int, int]]:
    """Yield the gap from ``begin`` or later that lasts to the end of a life."""
    waits = [
        (sample.t, sample.dirty >= request_pages)
        for sample in history.during(PoolSampled, life, node)
    ]
    since = _open_since(begin, waits)
    told = (one.submitted for one in history.during(WriteWaits, life, node) if one.t > begin)
    since = min((max(begin, one) for one in told), default=since)
    if since is not None:
        yield since, life.end


def lost(history: History, node: str | None = None) -> int | None:
    """Return how many acknowledged blocks the read-back did not find, or found damaged.

    Args:
        history: the run.
        node: only the blocks of this node; all by default.

    Returns:
        None when nothing was verified.
    """
    results = history.of(VerifyResult, node)
    return sum(result.lost + result.corrupt for result in results) if results else None


def _closed_gaps(
    acks: Sequence[WriteAcknowledged], times: Sequence[int], life: Interval
) -> Iterator[tuple[int, int]]:
    """Return the gaps that ended in an acknowledgement."""
    outstanding = list(accumulate((ack.submitted for ack in reversed(acks)), min))
    return zip(map(max, [life.start, *times], reversed(outstanding)), times, strict=False)


def _open_since(last: int, waits: Sequence[tuple[int, bool]]) -> int | None:
    """Return when the gap began that was still open at the end of a life; None without one.

    Args:
        last: time of the life's last acknowledgement, or of its start.
        waits: for each sample of the life its time, and whether writes waited.
    """
    since: int | None = None
    waited = False
    for t, waiting in waits:
        if t <= last:
            waited = waiting
        elif not waiting:
            since, waited = None, False
        elif since is None:
            since = last if waited else t
    return since
