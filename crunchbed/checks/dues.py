"""When a heartbeat that was missed was due to be sent, and whether it was."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from crunchbed.checks.drops import silence_ns
from crunchbed.checks.lives import target_of
from crunchbed.history.history import History, Interval
from nodes.membership.datagram import MalformedHeartbeat, parse_tag
from reserve_agent.contract.events import Event


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
        self._probing: dict[tuple[str, str, str], int] | None = None
        self._boots: dict[tuple[str, int], tuple[list[int], list[int]]] = {}

    def of(self, miss: Event) -> Due:
        """Return it, as exactly as the miss allows: to an interval where it names no number."""
        deadline = miss.data.get("deadline", miss.t)
        if miss.data.get("probe"):
            return self._of_answer(miss, deadline)
        unknown = Due(Interval(deadline - silence_ns(miss, self._interval_ns), deadline), None)
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

    def _of_answer(self, miss: Event, deadline: int) -> Due:
        """Return it for the answer to a probe: due from when that was sent until the deadline."""
        peer = str(miss.data.get("peer"))
        asked = self._time_of(miss.node, str(miss.data["probe"]), peer)
        start = deadline - self._interval_ns if asked is None else asked
        answered = self._time_of(peer, str(miss.data.get("tag")), miss.node)
        return Due(Interval(min(start, deadline), deadline + 1), answered)

    def _time_of(self, node: str, tag: str, to: str) -> int | None:
        """Return when it was sent to that node: two may ask with the same number."""
        if self._probing is None:
            self._probing = {
                (e.node, e.data["tag"], peer): e.t
                for e in self._history.of("heartbeat.sent")
                if "what" in e.data
                for peer in e.data["peers"]
            }
        return self._probing.get((node, tag, to))

    def _sent(self, node: str, incarnation: int) -> tuple[list[int], list[int]]:
        """Return numbers and times of what one boot of a node sent."""
        key = (node, incarnation)
        if key not in self._boots:
            life = self._life(node, incarnation)
            sent = [
                e
                for e in self._history.of("heartbeat.sent", node)
                # The number of a probe's answer counts somebody else's intervals.
                if e.t in life and "what" not in e.data and isinstance(e.data.get("seq"), int)
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
