"""Block writes: acknowledged, how slow, how long none was, and whether all were found again."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crunchbed.checks.lives import lives, overlap
from crunchbed.history import Event, History, Interval

PAGE_BYTES = 4096


def latencies_ns(history: History, node: str) -> list[int]:
    """Return the time from submission to acknowledgement of every write, sorted."""
    return sorted(e.t - e.data["submitted"] for e in history.of("write.ack", node))


def percentile_seconds(sorted_ns: Sequence[int], share: float) -> float | None:
    """Return the nearest-rank percentile (``share`` 0.99 = p99); None without a value."""
    if not sorted_ns:
        return None
    return sorted_ns[math.ceil(share * len(sorted_ns)) - 1] / 1e9


def longest_stall_seconds(
    history: History, node: str, request_bytes: int, within: Interval | None = None
) -> float | None:
    """Return the longest time in which writes were outstanding and none was acknowledged.

    A write is outstanding from its submission to its acknowledgement. Writes that never got one
    have no event of their own; at the end of a life of the node they are seen by dirty pages, at
    least a request of them, that wait to be written. Of a stall that began or ended outside of
    ``within`` the part inside counts. None where nothing was written or waited.
    """
    acks = history.of("write.ack", node)
    request_pages = max(1, request_bytes // PAGE_BYTES)
    waits = [
        (e.t, e.data.get("dirty", 0) >= request_pages) for e in history.of("pool.sample", node)
    ]
    gaps = [
        gap
        for life in overlap(lives(history, node), [history.measured if within is None else within])
        for gap in (_closed_gap([e for e in acks if e.t in life], life), _open(acks, waits, life))
        if gap is not None
    ]
    return max(gaps) / 1e9 if gaps else None


def lost(history: History, node: str | None = None) -> int | None:
    """Return how many acknowledged blocks were not found again, or were damaged.

    Args:
        history: the run.
        node: only what the verifier said of this node's blocks; all by default.

    Returns:
        None when nothing was verified.
    """
    results = history.of("verify.result", node)
    if not results:
        return None
    return sum(int(e.data["lost"]) + int(e.data["corrupt"]) for e in results)


def _closed_gap(acks: Sequence[Event], life: Interval) -> int | None:
    """Return the longest gap that ended in an acknowledgement, in nanoseconds."""
    longest: int | None = None
    earliest = life.end
    outstanding = []
    for ack in reversed(acks):
        earliest = min(earliest, ack.data["submitted"])
        outstanding.append(earliest)
    before = life.start
    for ack, since in zip(acks, reversed(outstanding), strict=True):
        gap = ack.t - max(before, since)
        longest = gap if longest is None else max(longest, gap)
        before = ack.t
    return longest


def _open(acks: Sequence[Event], waits: Sequence[tuple[int, bool]], life: Interval) -> int | None:
    """Return the gap that was still open when the life ended, in nanoseconds."""
    last = max((e.t for e in acks if e.t in life), default=life.start)
    since: int | None = None
    waited = False
    for t, waiting in waits:
        if t not in life:
            continue
        if t <= last:
            waited = waiting
        elif not waiting:
            since, waited = None, False
        elif since is None:
            since = last if waited else t
    return None if since is None else life.end - since
