"""Whom a probing detector probes next, and the probes under way."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from nodes.membership.detectors.peers import Peers


@dataclass(slots=True)
class Probe:
    """This node's probe of a peer in the present period.

    Attributes:
        deadline_ns: By when the target itself must answer.
        ends_ns: By when any answer must come.
        in_grace: Whether the target may not be up yet, so that silence says nothing.
        missed: Whether the target did not answer in time.
        answered: Whether an answer came.
        helpers: How many other nodes were asked to probe the target.
        nacks: Which of them said that they got no answer either.
    """

    target: str
    seq: int
    deadline_ns: int
    ends_ns: int
    in_grace: bool
    missed: bool = False
    answered: bool = False
    helpers: int = 0
    nacks: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Relay:
    """A probe of ``target`` on behalf of another node.

    Attributes:
        requester: The node that asked for it; ``seq`` is its number for it.
        nack_ns: When the requester is told that there is no answer yet; None: it is not told.
        expires_ns: When the probe is forgotten.
    """

    requester: str
    seq: int
    target: str
    nack_ns: int | None
    expires_ns: int

    @property
    def next_ns(self) -> int:
        """When it is to be looked at again."""
        return self.expires_ns if self.nack_ns is None else self.nack_ns


class Rounds:
    """Round-robin probing in an order drawn anew for each round.

    Every peer is probed once in a round, so at most two rounds lie between two probes of the same
    peer (Das, Gupta, Motivala 2002, section 4.3).
    """

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        self._left: list[str] = []

    def next(self, peers: Peers) -> str | None:
        """Return whom to probe next, who is not dead; None if there is nobody."""
        if not peers.any_not_dead:
            return None
        while True:
            while self._left:
                name = self._left.pop()
                if peers.is_not_dead(name):
                    return name
            self._left = list(peers.not_dead())
            self._random.shuffle(self._left)

    def insert(self, peer: str, _peers: Peers) -> None:
        """Give a newcomer a random place in the present round."""
        self._left.insert(self._random.randint(0, len(self._left)), peer)


class Draws:
    """Rounds of which each place is drawn when its time comes.

    The order is as random as that of ``Rounds``, but other numbers are drawn for it. A round of
    ten thousand takes neither the time to draw its order nor the memory to keep it.
    """

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        self._left = 0
        self._moved: dict[int, int] = {}  # which place stands at a number that is not its own

    def next(self, peers: Peers) -> str | None:
        """Return whom to probe next, who is not dead; None if there is nobody."""
        if not peers.any_not_dead:
            return None
        while True:
            while self._left:
                name = peers.not_dead_at(self._draw())
                if name is not None:
                    return name
            self._left, self._moved = peers.places, {}

    def _draw(self) -> int:
        """Take a number of those that are left; the last one left gets its number."""
        drawn = self._random.randrange(self._left)
        self._left -= 1
        last = self._moved.pop(self._left, self._left)
        if drawn == self._left:
            return last
        place = self._moved.get(drawn, drawn)
        self._moved[drawn] = last
        return place

    def insert(self, peer: str, peers: Peers) -> None:
        """Give a newcomer, the last of ``peers``, a random place in the present round."""
        self._moved[self._left] = peers.place_of(peer)
        self._left += 1
