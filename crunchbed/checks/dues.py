"""When a heartbeat that was missed was due to be sent, and whether it was."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from crunchbed.checks.drops import silence_ns
from crunchbed.checks.lives import target_of
from crunchbed.history.history import History, Interval
from nodes.membership.datagram import MalformedHeartbeat, parse_tag
from reserve_agent.contract.events.faults import NodeDown
from reserve_agent.contract.events.heartbeats import HeartbeatMissed, HeartbeatSent


class Due(NamedTuple):
    """When a heartbeat was due and sent.

    Attributes:
        when: When it was due.
        sent: When it was sent, nanoseconds; None: never, or not known.
    """

    when: Interval
    sent: int | None


class Dues:
    """The times at which heartbeats were due, also of those that were never sent.

    The number of a heartbeat counts its sender's intervals, and so tells the time.

    Args:
        history: the run.
        interval_ns: time between two heartbeats of a node.
    """

    def __init__(self, history: History, interval_ns: int) -> None:
        self._history = history
        self._interval_ns = interval_ns
        self._probing: dict[tuple[str | None, str | None, str | None], int] | None = None
        self._boots: dict[tuple[str, int], tuple[list[int], list[int]]] = {}

    def of(self, miss: HeartbeatMissed) -> Due:
        """Return when the missed heartbeat was due; to an interval where the miss has no tag."""
        deadline = miss.deadline
        if miss.probe:
            return self._of_answer(miss)
        unknown = Due(Interval(deadline - silence_ns(miss, self._interval_ns), deadline), None)
        try:
            tag = parse_tag(miss.tag or "")
        except MalformedHeartbeat:
            return unknown
        numbers, times = self._sent(miss.peer or "", tag.incarnation)
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

    def _of_answer(self, miss: HeartbeatMissed) -> Due:
        """Return when the answer to a probe was due: from the probe until the deadline."""
        deadline = miss.deadline
        asked = self._time_of(miss.node, miss.probe, miss.peer)
        start = deadline - self._interval_ns if asked is None else asked
        answered = self._time_of(miss.peer, miss.tag, miss.node)
        return Due(Interval(min(start, deadline), deadline + 1), answered)

    def _time_of(self, node: str | None, tag: str | None, to: str | None) -> int | None:
        """Return when a probe or an answer was sent; a tag may have gone to several nodes."""
        if self._probing is None:
            self._probing = {
                (event.node, event.tag, peer): event.t
                for event in self._history.of(HeartbeatSent)
                if event.what is not None and not isinstance(event.peers, int)
                for peer in event.peers
            }
        return self._probing.get((node, tag, to))

    def _sent(self, node: str, incarnation: int) -> tuple[list[int], list[int]]:
        """Return numbers and times of the heartbeats that one boot of a node sent."""
        key = (node, incarnation)
        if key not in self._boots:
            sent = [
                (event.seq, event.t)
                for event in self._history.during(
                    HeartbeatSent, self._life(node, incarnation), node
                )
                # The number of a probe's answer counts the intervals of another node.
                if event.what is None and event.seq is not None
            ]
            self._boots[key] = ([seq for seq, _ in sent], [t for _, t in sent])
        return self._boots[key]

    def _life(self, node: str, incarnation: int) -> Interval:
        """Return the time of this boot; the next one begins where the node goes down."""
        whole = self._history.span
        downs = [e.t for e in self._history.of(NodeDown) if target_of(e) == node]
        marks = [whole.start, *downs, whole.end + 1]
        index = min(incarnation, len(downs))
        return Interval(marks[index], marks[index + 1])
