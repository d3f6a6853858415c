"""From what corosync says to the events of its node. Pure, the time passed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nodes.corosync.notices import (
    LinkDown,
    LinkUp,
    Notice,
    NotScheduled,
    RingFormed,
    Synchronized,
    TokenOverdue,
)
from nodes.corosync.watch import Effect, FenceWanted, Suspected, ViewSeen
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.heartbeats import (
    HeartbeatLate,
    HeartbeatMissed,
    HeartbeatReceived,
    HeartbeatSent,
    RingDown,
    RingUp,
)
from reserve_agent.contract.events.membership import (
    FenceRequested,
    MembershipSuspected,
    ViewInstalled,
)


class Packets(NamedTuple):
    """Packets to and from one peer."""

    sent: int
    received: int


def event_of(effect: Effect, now_ns: int) -> Event:
    """Return the event that reports an effect of the watch."""
    match effect:
        case Suspected(peer):
            return MembershipSuspected(t=now_ns, peer=peer, misses=0)
        case ViewSeen(number, members, removed, added, quorate):
            return ViewInstalled(
                t=now_ns,
                number=number,
                members=members,
                removed=removed,
                added=added,
                quorate=quorate,
            )
        case FenceWanted(target, number):
            return FenceRequested(t=now_ns, target=target, view=number)


def packets_counted(added: Mapping[str, Packets], now_ns: int) -> list[Event]:
    """Return the events that report how many packets went to the peers and came from them.

    Args:
        added: Packets since the last report, by peer.
        now_ns: The time.
    """
    counts = {name: each.received for name, each in added.items()}
    return [
        HeartbeatSent(t=now_ns, peers=sum(each.sent for each in added.values())),
        HeartbeatReceived(t=now_ns, counts=counts, malformed=0, late=0),
    ]


class KnetLinks:
    """Which of knet's links from one node to its peers are down.

    Args:
        links: How many links lead to each peer.
    """

    def __init__(self, links: int) -> None:
        self._links = links
        self._down: dict[int, set[int]] = {}

    def down(self, node_id: int, link: int) -> bool:
        """Note that a link is down; return whether it was the last that led to this node."""
        down = self._down.setdefault(node_id, set())
        down.add(link)
        return len(down) >= self._links

    def up(self, node_id: int, link: int) -> None:
        """Note that a link is up again, or for the first time."""
        self._down.get(node_id, set()).discard(link)


class NoticeReports:
    """Makes events of the notices in corosync's log.

    Args:
        names: The other nodes' names by corosync's id.
        rings: How many rings there are, which knet calls links.
        token_ms: Corosync's token time-out, milliseconds.

    Attributes:
        answers: Whether corosync answers its clients now. While it synchronizes its services it
            does not, and a question that waits meanwhile has it poll without a pause: its loop
            finds the question ready to be read each time, and may not read it. With a ring that
            nodes leave before it is synchronized this takes seconds.
    """

    def __init__(self, names: Mapping[int, str], rings: int, token_ms: int) -> None:
        self._names = names
        self._rings = rings
        self._token_ms = token_ms
        self._links = KnetLinks(rings)
        self.answers = False

    def events(self, notice: Notice, now_ns: int) -> list[Event]:
        """Return the events that report one notice."""
        match notice:
            case TokenOverdue(after_ms):
                return [_missed(None, after_ms, now_ns)]
            case NotScheduled(late_ns):
                return [HeartbeatLate(t=now_ns, late_ns=late_ns)]
            case LinkUp(node_id, link):
                self._links.up(node_id, link)
                peer = self._several_rings_to(node_id)
                return [] if peer is None else [RingUp(t=now_ns, ring=link, peer=peer)]
            case LinkDown(node_id, link):
                return self._link_down(node_id, link, now_ns)
            case RingFormed() | Synchronized():
                self.answers = isinstance(notice, Synchronized)
                return []

    def _link_down(self, node_id: int, link: int, now_ns: int) -> list[Event]:
        found: list[Event] = []
        peer = self._several_rings_to(node_id)
        if peer is not None:
            found.append(RingDown(t=now_ns, ring=link, peer=peer))
        # knet_ping_timeout, which corosync derives from the token, is no longer than the token.
        if self._links.down(node_id, link):
            found.append(_missed(self._names.get(node_id), self._token_ms, now_ns))
        return found

    def _several_rings_to(self, node_id: int) -> str | None:
        """Return the peer's name where it is known and there is more than one ring."""
        return self._names.get(node_id) if self._rings > 1 else None


def _missed(peer: str | None, silent_ms: int, now_ns: int) -> HeartbeatMissed:
    """Corosync's packets have no numbers that are known here, and so no tag.

    The packet that is missed was due at some time of the silence, whose length is ``silent_ns``.
    """
    return HeartbeatMissed(
        t=now_ns, peer=peer, seq=0, deadline=now_ns, silent_ns=silent_ms * 1_000_000
    )
