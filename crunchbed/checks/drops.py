"""Packets that the hooks dropped and that explain a miss.

Heartbeats: by tag, or by pair and time where a miss names no tag. And ARP: a heartbeat for a host
whose hardware address is asked for waits in its sender.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from crunchbed.checks.faults import FaultSpan
from crunchbed.history.history import History, Interval
from reserve_agent.contract.events.heartbeats import HeartbeatMissed
from reserve_agent.contract.events.pressure import PacketDropped
from reserve_agent.contract.packets import DROP_CAUSES
from topologies.layout import number_of

_ASKED_AGAIN_NS: Final = 1_000_000_000
"""When a question for an address is repeated (``retrans_time`` of arp_tbl, net/ipv4/arp.c)."""
_NO_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - not to listen on


class Drops:
    """The dropped packets of class ``heartbeat``, whatever protocol, and those of ARP."""

    def __init__(self, history: History, faults: Sequence[FaultSpan]) -> None:
        self._partitions = [fault for fault in faults if fault.effect.parted]
        self._events = [e for e in history.of(PacketDropped) if e.cls == "heartbeat"]
        self._times = [event.t for event in self._events]
        self._by_tag: dict[tuple[str | None, str], PacketDropped] = {}
        for event in self._events:
            receiver = _ends(event)[1]
            self._by_tag.setdefault((receiver, event.tag), event)
        self._asking: defaultdict[frozenset[str], list[PacketDropped]] = defaultdict(list)
        for event in history.of(PacketDropped):
            if event.cls == "control":
                self._asking[_asking(event)].append(event)

    def cause(self, miss: HeartbeatMissed, interval_ns: int) -> str | None:
        """Return the cause of a miss whose packet was dropped; None where none was.

        The packet is the heartbeat with the miss's tag on its way to the observer, or the
        observer's probe on its way to the peer. For a miss without a tag it is any heartbeat
        between observer and peer (any at all where the miss knows no peer) that was dropped in
        the interval before the deadline, or in the longer silence that the miss tells of.
        """
        found = self._by_tag.get((miss.node, miss.tag)) if miss.tag else None
        if found is None and miss.probe:
            found = self._by_tag.get((miss.peer, miss.probe))
        if found is not None:
            return self._cause(found)
        return None if miss.tag or miss.probe else self._around(miss, interval_ns)

    def cause_of_silence(self, miss: HeartbeatMissed, due: Interval) -> str | None:
        """Return why a sender did not learn where its heartbeat goes; None where nothing says so.

        Of the questions and answers between the two that were dropped before the deadline the
        latest counts, if the heartbeat was due before the question was repeated.
        """
        if miss.peer is None:
            return None
        since, latest = due.start - _ASKED_AGAIN_NS, None
        for hosts in ({miss.peer, miss.node}, {miss.peer}):
            dropped = self._asking.get(frozenset(hosts), [])
            before = bisect_left(dropped, miss.deadline, key=attrgetter("t"))
            if before and dropped[before - 1].t >= since:
                latest, since = dropped[before - 1], dropped[before - 1].t
        return None if latest is None else self._cause(latest)

    def _around(self, miss: HeartbeatMissed, interval_ns: int) -> str | None:
        first = bisect_left(self._times, miss.deadline - silence_ns(miss, interval_ns))
        near = self._events[first : bisect_right(self._times, miss.deadline)]
        pair = {miss.node, miss.peer}
        causes = Counter(
            self._cause(event) for event in near if miss.peer is None or set(_ends(event)) == pair
        )
        return causes.most_common(1)[0][0] if causes else None

    def _cause(self, drop: PacketDropped) -> str:
        if drop.hook == "transmit":
            return "stalled_sender"
        cause = DROP_CAUSES.get(drop.reason, "unknown")
        if cause == "loss" and any(
            drop.t in fault.span and fault.separates(*_ends(drop)) for fault in self._partitions
        ):
            return "partition"
        return cause


def silence_ns(miss: HeartbeatMissed, interval_ns: int) -> int:
    """Return how long before its deadline a missed heartbeat may have been due, at most."""
    return max(interval_ns, miss.silent_ns or 0)


def _asking(drop: PacketDropped) -> frozenset[str]:
    """Return the two hosts of a packet of ARP; the node that dropped it, where no address is known.

    The hooks of namespaces write down no address of ARP.
    """
    if _NO_ADDRESS in (drop.src, drop.dst):
        return frozenset((drop.node,))
    return frozenset(_ends(drop))


def _ends(drop: PacketDropped) -> tuple[str, str]:
    """Return sender and receiver of a packet; one of the two has recorded the drop."""
    if drop.hook == "transmit":
        return drop.node, _node_at(drop.dst)
    return _node_at(drop.src), drop.node


def _node_at(address: str) -> str:
    """Return the cluster node with this address."""
    return f"n{number_of(address)}" if address else ""
