"""What a probing detector knows of each peer, and of the probes under way."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nodes.membership.detector import State


@dataclass(slots=True)
class Suspicion:
    """A peer under suspicion since ``since_ns``.

    ``patience`` says how long one that so many others have confirmed lasts, in nanoseconds.
    """

    since_ns: int
    patience: Callable[[int], int]
    by: set[str]

    @property
    def expires_ns(self) -> int:
        """When the peer is held for dead; the first to suspect it confirms nothing."""
        return self.since_ns + self.patience(len(self.by) - 1)


@dataclass(slots=True)
class Known:
    """One watched peer; ``refuted`` is how often it has refuted a suspicion, as far as known."""

    watched_ns: int
    state: State = State.ALIVE
    refuted: int = 0
    heard: bool = False
    failed: int = 0  # own probes in a row
    suspicion: Suspicion | None = None


@dataclass(slots=True)
class Probe:
    """This node's probe of ``target`` in this period."""

    target: str
    seq: int
    deadline_ns: int  # of the direct answer
    ends_ns: int  # of any
    in_grace: bool  # sent to a peer that may not be up yet: no answer says nothing
    missed: bool = False
    answered: bool = False
    helpers: int = 0
    nacks: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Relay:
    """A probe on behalf of ``requester``, who calls it ``seq``."""

    requester: str
    seq: int
    target: str
    nack_ns: int | None
    expires_ns: int

    @property
    def next_ns(self) -> int:
        """When something is to be done about it."""
        return self.expires_ns if self.nack_ns is None else self.nack_ns


class Rounds:
    """Round-robin probing in an order drawn anew for each round.

    So every peer is probed once in a round, and at most two rounds lie between two probes of it
    (Das, Gupta, Motivala 2002, section 4.3).
    """

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        self._left: list[str] = []

    def next(self, candidates: Sequence[str]) -> str | None:
        """Return whom to probe next out of ``candidates``; None if there is nobody."""
        allowed = set(candidates)
        if not allowed:
            return None
        while True:
            while self._left:
                name = self._left.pop()
                if name in allowed:
                    return name
            self._left = list(candidates)
            self._random.shuffle(self._left)

    def insert(self, peer: str) -> None:
        """A newcomer takes a random place in the present round."""
        self._left.insert(self._random.randint(0, len(self._left)), peer)
