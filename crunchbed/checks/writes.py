"""Block writes: acknowledged, how slow, how long none was, and whether all were found again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crunchbed.checks.lives import lives, overlap
from crunchbed.history import Event, History, Interval, remembered

PAGE_BYTES = 4096


@remembered
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
    """Return the longest of ``stalls``; None where nothing was written or waited.

    Of a stall that began or ended outside of ``within`` the part inside counts.
    """
    gaps = _gaps(history, node, request_bytes, history.measured if within is None else within)
    longest = max((gap.length for gap in gaps), default=None)
    return None if longest is None else longest / 1e9


def stalls(history: History, node: str, request_bytes: int, shortest_ns: int) -> list[Interval]:
    """Return every time in which writes were outstanding and none was acknowledged, by time.

    A write is outstanding from its submission to its acknowledgement. Writes that never got one
    have no event of their own; at the end of a life of the node they are seen by dirty pages, at
    least a request of them, that wait to be written.

    Args:
        history: the run.
        node: who wrote.
        request_bytes: size of a write.
        shortest_ns: what is shorter is left out.
    """
    found = _gaps(history, node, request_bytes, history.measured)
    return sorted(one for one in found if one.length >= shortest_ns)


@remembered
def _gaps(history: History, node: str, request_bytes: int, within: Interval) -> list[Interval]:
    acks = history.of("write.ack", node)
    request_pages = max(1, request_bytes // PAGE_BYTES)
    waits = [
        (e.t, e.data.get("dirty", 0) >= request_pages) for e in history.of("pool.sample", node)
    ]
    found: list[Interval] = []
    for life in overlap(lives(history, node), [within]):
        found += _closed_gaps([e for e in acks if e.t in life], life)
        still_open = _open(acks, waits, life)
        if still_open is not None:
            found.append(still_open)
    return found


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


def _closed_gaps(acks: Sequence[Event], life: Interval) -> Iterator[Interval]:
    """Yield the gaps that ended in an acknowledgement."""
    earliest = life.end
    outstanding = []
    for ack in reversed(acks):
        earliest = min(earliest, ack.data["submitted"])
        outstanding.append(earliest)
    before = life.start
    for ack, since in zip(acks, reversed(outstanding), strict=True):
        yield Interval(max(before, since), ack.t)
        before = ack.t


def _open(
    acks: Sequence[Event], waits: Sequence[tuple[int, bool]], life: Interval
) -> Interval | None:
    """Return the gap that was still open when the life ended."""
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
    return None if since is None else Interval(since, life.end)
