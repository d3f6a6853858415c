"""The rings of heartbeats: every datagram goes out on each ring, and its first copy counts.

A node with links to several networks that fail apart has a ring on each network. A heartbeat is
missed when no ring has brought it. A ring that alone fails to bring the datagrams of a peer is
reported as ``RingDown``: nothing is missed then, but the next failure would cost heartbeats.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from nodes.membership.said import Said
from reserve_agent.contract.events.heartbeats import RingDown, RingUp

_REMEMBERED = 128
"""Datagrams of a peer whose copies are recognised; at most a few are under way at once."""


class Arrival(NamedTuple):
    """One datagram that arrived.

    Attributes:
        name: The peer that has the address it came from; empty for a stranger.
        at_ns: When this host received it, nanoseconds of CLOCK_MONOTONIC.
        ring: Number of the ring that brought it.
        said: What it says where it came as a value, of which all rings bring one object.
    """

    payload: bytes
    name: str
    at_ns: int
    ring: int = 0
    said: Said | None = None


class Copies:
    """Recognises datagrams that another ring has brought already."""

    def __init__(self) -> None:
        self._seen: dict[str, OrderedDict[bytes | Said, None]] = {}

    def is_copy(self, sender: str, payload: bytes | Said) -> bool:
        """Return whether ``sender`` has sent exactly this before, and remember that it has now."""
        seen = self._seen.setdefault(sender, OrderedDict())
        if payload in seen:
            return True
        seen[payload] = None
        if len(seen) > _REMEMBERED:
            seen.popitem(last=False)
        return False


class RingWatch:
    """Which ring brings the datagrams of which peer.

    A ring is down for a peer when the other rings alone have brought ``lacking`` of the peer's
    datagrams in a row.
    """

    def __init__(self, rings: int, lacking: int) -> None:
        self._rings = rings
        self._lacking = lacking
        self._behind: dict[tuple[int, str], int] = {}
        self._heard_ns: dict[tuple[int, str], int] = {}
        self._down: set[tuple[int, str]] = set()
        self._place: dict[tuple[int, str], int] = {}
        self._moved: set[tuple[int, str]] = set()  # since ``changes``

    def heard(self, ring: int, peer: str, at_ns: int, *, first: bool) -> None:
        """Note that ``ring`` brought a datagram of ``peer``; ``first`` unless it is a copy."""
        self._heard_ns[ring, peer] = at_ns
        if first:
            for other in range(self._rings):
                self._move((other, peer), self._behind.get((other, peer), 0) + 1)
        self._move((ring, peer), 0)

    def _move(self, key: tuple[int, str], behind: int) -> None:
        self._behind[key] = behind
        self._place.setdefault(key, len(self._place))
        self._moved.add(key)

    def changes(self, now_ns: int) -> list[RingDown | RingUp]:
        """Return what has changed; to be called when all that has arrived by now was ``heard``.

        Called sooner, it would find a ring behind only because that ring is read after the other.
        """
        found: list[RingDown | RingUp] = []
        for key in sorted(self._moved, key=self._place.__getitem__):
            (ring, peer), behind = key, self._behind[key]
            heard_ns = self._heard_ns.get(key)
            if behind >= self._lacking and key not in self._down:
                self._down.add(key)
                found.append(RingDown(t=now_ns, ring=ring, peer=peer, since=heard_ns))
            elif behind == 0 and key in self._down:
                self._down.remove(key)
                found.append(RingUp(t=self._heard_ns[key], ring=ring, peer=peer))
        self._moved.clear()
        return found


class RingMerger:
    """Makes one stream of datagrams of what all rings of a node bring; see ``RingWatch``."""

    def __init__(self, rings: int, lacking: int) -> None:
        self._single = rings == 1
        self._copies = Copies()
        self._watch = RingWatch(rings, lacking)

    def merge(self, arrivals: Iterable[Arrival]) -> Iterable[Arrival]:
        """Return every datagram once, in the order of arrival."""
        if self._single:
            return arrivals
        ordered = sorted(arrivals, key=lambda arrival: arrival.at_ns)
        return [arrival for arrival in ordered if self._is_first(arrival)]

    def _is_first(self, arrival: Arrival) -> bool:
        first = not self._copies.is_copy(arrival.name, arrival.said or arrival.payload)
        if arrival.name:
            self._watch.heard(arrival.ring, arrival.name, arrival.at_ns, first=first)
        return first

    def changes(self, now_ns: int) -> list[RingDown | RingUp]:
        """Return which rings went down or came up since the last call; call it after ``merge``."""
        return [] if self._single else self._watch.changes(now_ns)
