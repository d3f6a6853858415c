"""The rings of heartbeats: every datagram goes out on each, and the first copy counts.

A node with links to several networks that fail apart has a ring on each. A miss is one that no
ring brought. What a single ring does not bring is told as ``RingDown``: with all others up that is
no miss, but the next failure would be.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nodes.heartbeat.link import Arrival, HeartbeatLink

_REMEMBERED = 128
"""Datagrams of a peer whose copies are known as such; at most a few are under way at once."""


class RingDown(NamedTuple):
    """Another ring has brought heartbeats of ``peer`` that this one did not bring.

    ``since_ns`` is when it brought the last; None where it never did.
    """

    ring: int
    peer: str
    since_ns: int | None


class RingUp(NamedTuple):
    """It brings them again, since ``at_ns``."""

    ring: int
    peer: str
    at_ns: int


class Copies:
    """Knows the datagrams that have come already. Pure."""

    def __init__(self) -> None:
        self._seen: dict[str, OrderedDict[bytes, None]] = {}

    def is_copy(self, sender: str, payload: bytes) -> bool:
        """Whether ``sender`` has been heard to say exactly this; from here on it has."""
        seen = self._seen.setdefault(sender, OrderedDict())
        if payload in seen:
            return True
        seen[payload] = None
        if len(seen) > _REMEMBERED:
            seen.popitem(last=False)
        return False


class RingWatch:
    """What each ring brings of each peer. Pure.

    Args:
        rings: how many there are.
        lacking: datagrams in a row that the others must have brought alone.
    """

    def __init__(self, rings: int, lacking: int) -> None:
        self._rings = rings
        self._lacking = lacking
        self._behind: dict[tuple[int, str], int] = {}
        self._heard_ns: dict[tuple[int, str], int] = {}
        self._down: set[tuple[int, str]] = set()

    def heard(self, ring: int, peer: str, at_ns: int, *, first: bool) -> None:
        """A datagram of ``peer`` came by ``ring``; ``first`` unless it is a copy."""
        self._heard_ns[ring, peer] = at_ns
        if first:
            for other in range(self._rings):
                self._behind[other, peer] = self._behind.get((other, peer), 0) + 1
        self._behind[ring, peer] = 0

    def changes(self) -> list[RingDown | RingUp]:
        """What has changed; to be asked when all that has arrived by now was ``heard``.

        Sooner, one ring would seem to be behind only because it is read after the other.
        """
        found: list[RingDown | RingUp] = []
        for (ring, peer), behind in self._behind.items():
            key = (ring, peer)
            if behind >= self._lacking and key not in self._down:
                self._down.add(key)
                found.append(RingDown(ring, peer, self._heard_ns.get(key)))
            elif behind == 0 and key in self._down:
                self._down.remove(key)
                found.append(RingUp(ring, peer, self._heard_ns[key]))
        return found


class Rings:
    """A node's sockets, one on each ring.

    Args:
        links: they, in the order of the rings.
        lacking: see ``RingWatch``.
    """

    def __init__(self, links: Sequence[HeartbeatLink], lacking: int) -> None:
        self.links = tuple(links)
        self._copies = Copies()
        self._watch = RingWatch(len(links), lacking)

    def send(self, payload: bytes, to: Sequence[str]) -> tuple[list[str], list[str]]:
        """Send on every ring; the names of those sent to on any, and of those on none."""
        sent: set[str] = set()
        for link in self.links:
            sent.update(link.send(payload, to)[0])
        return [name for name in to if name in sent], [name for name in to if name not in sent]

    def drain(self) -> Iterable[Arrival]:
        """Every datagram that waits, in the order of arrival, each once."""
        if len(self.links) == 1:
            return self.links[0].drain()
        waiting = [
            (ring, arrival) for ring, link in enumerate(self.links) for arrival in link.drain()
        ]
        waiting.sort(key=lambda one: one[1].at_ns)
        return [arrival for ring, arrival in waiting if self._take(ring, arrival)]

    def _take(self, ring: int, arrival: Arrival) -> bool:
        first = not self._copies.is_copy(arrival.name, arrival.payload)
        if arrival.name:
            self._watch.heard(ring, arrival.name, arrival.at_ns, first=first)
        return first

    def changes(self) -> list[RingDown | RingUp]:
        """Rings that went down or came up since the last look; call it after ``drain``."""
        return self._watch.changes() if len(self.links) > 1 else []
