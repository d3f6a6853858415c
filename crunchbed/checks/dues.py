"""When a heartbeat that was missed was due to be sent, and whether it was."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from crunchbed.checks.lives import target_of
from crunchbed.history import Event, History, Interval
from nodes.heartbeat.wire import MalformedHeartbeat, parse_tag


class Due(NamedTuple):
    """``when`` it was due; ``sent`` is when it was sent, None: never, or nobody knows."""

    when: Interval
    sent: int | None


class Dues:
    """Numbers count a sender's intervals, so one that was never sent has its time all the same.

    Args:
        history: the run.
        interval_ns: time between two heartbeats of a node.
    """

    def __init__(self, history: History, interval_ns: int) -> None:
        self._history = history
        self._interval_ns = interval_ns
        self._boots: dict[tuple[str, int], tuple[list[int], list[int]]] = {}

    def of(self, miss: Event) -> Due:
        """Return it, as exactly as the miss allows: to an interval where it names no number."""
        deadline = miss.data.get("deadline", miss.t)
        unknown = Due(Interval(deadline - self._interval_ns, deadline), None)
        try:
            tag = parse_tag(miss.data.get("tag") or "")
        except MalformedHeartbeat:
            return unknown
        numbers, times = self._sent(str(miss.data.get("peer")), tag.incarnation)
        if not numbers:
            return unknown
        index = bisect_left(numbers, tag.seq)
        sent = None
        if index < len(numbers) and numbers[index] == tag.seq:
            sent = times[index]
        when = sent
        if when is None or when > deadline:
            near = max(index - 1, 0)
            when = times[near] + (tag.seq - numbers[near]) * self._interval_ns
        return Due(Interval(when, when + 1), sent)

    def _sent(self, node: str, incarnation: int) -> tuple[list[int], list[int]]:
        """Return numbers and times of what one boot of a node sent."""
        key = (node, incarnation)
        if key not in self._boots:
            life = self._life(node, incarnation)
            sent = [
                e
                for e in self._history.of("heartbeat.sent", node)
                if e.t in life and isinstance(e.data.get("seq"), int)
            ]
            self._boots[key] = ([e.data["seq"] for e in sent], [e.t for e in sent])
        return self._boots[key]

    def _life(self, node: str, incarnation: int) -> Interval:
        """Return when this boot was: every time that a node goes down begins its next one."""
        whole = self._history.span
        downs = [e.t for e in self._history.of("node.down") if target_of(e) == node]
        marks = [whole.start, *downs, whole.end + 1]
        index = min(incarnation, len(downs))
        return Interval(marks[index], marks[index + 1])
