"""Failure detection: what a node needs of a failure detector, whatever its method.

A detector decides which messages go to which peers, and when a peer's silence is a miss or a
suspicion. A peer that the detector takes for dead is reported as ``Suspect``; the membership then
decides by majority whether the peer is fenced and ejected. Every method is given the time, in
nanoseconds of any one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from nodes.membership.datagram import Kind
from nodes.membership.order import Order


@dataclass(frozen=True, slots=True)
class Miss:
    """A heartbeat of ``peer`` was expected and had not arrived by ``deadline_ns``.

    Attributes:
        expected_seq: Its number; 0 where the peer has not been heard yet, so that none is known.
            Where ``probed``: the number of this node's own probe, and of the answer to it.
        probed: Whether an answer to a probe was expected, rather than a heartbeat.
    """

    peer: str
    expected_seq: int
    deadline_ns: int
    probed: bool = False


@dataclass(frozen=True, slots=True)
class Warn:
    """``peer`` has not been heard for ``silent_ns``: it is late, but not suspected yet."""

    peer: str
    silent_ns: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """``peer`` is taken for dead from ``at_ns`` on, after ``misses`` misses in a row."""

    peer: str
    misses: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Clear:
    """``peer`` was suspected and has been heard again at ``at_ns``."""

    peer: str
    at_ns: int


Finding = Miss | Warn | Suspect | Clear


class State(IntEnum):
    """What a node is said to be; the values are those of datagrams."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


class Update(NamedTuple):
    """A rumour about ``peer``: its state, and how often it had refuted a suspicion by then.

    ``by`` said so first; None: not known.
    """

    peer: str
    state: State
    refuted: int
    by: str | None = None


class Message(NamedTuple):
    """What one detector says to another: heartbeat, ping, answer and so on, with rumours.

    Attributes:
        seq: Its number; of an answer: the number of the message that it answers.
        about: Whom a ping-req or an answer is about.
        refuted: How often its sender has refuted a suspicion of itself.
    """

    kind: Kind
    seq: int
    about: str | None = None
    refuted: int = 0
    updates: tuple[Update, ...] = ()


class Outgoing(NamedTuple):
    """A message, and the peers it goes to; None: every configured node."""

    to: tuple[str, ...] | None
    message: Message


class Detector(Protocol):
    """A failure detector.

    It judges only the peers it watches, and reports each change once, as a finding.
    """

    def watch(self, peer: str, now_ns: int) -> None:
        """Expect ``peer`` to be alive from now on, forgetting what was known of it."""

    def settle(self, me: str, order: Order, now_ns: int) -> None:
        """Expect all but ``me`` to be alive, who were all heard lately; nobody is watched yet."""

    def forget(self, peer: str) -> None:
        """Stop expecting ``peer``; a peer that is not watched is ignored."""

    def received(self, peer: str, message: Message, at_ns: int) -> list[Finding]:
        """Take in a message of a watched peer that arrived at ``at_ns``."""

    def answer(self, sender: str, message: Message) -> None:
        """Answer the ping of a node that is not watched; nothing in the ping is believed."""

    def advance(self, now_ns: int) -> list[Finding]:
        """Judge every watched peer by the clock."""

    def beat(self, seq: int, now_ns: int, *, news: bool) -> None:
        """Begin interval number ``seq``; with ``news``, every node must hear from this one now."""

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, each message once; to be called after every other call."""

    @property
    def rests(self) -> bool:
        """Whether its next beat is a probe that it is as before once that is answered.

        So it is with the answer to a probe. A detector by which all hear all never rests.
        """

    @property
    def refuted(self) -> int:
        """How often it has refuted a suspicion of this node."""

    def foresee(self) -> str | None:
        """Return whom the next beat of a detector that rests will probe; drawn once."""

    def knows(self, peer: str, refuted: int) -> bool:
        """Return whether it was told all this by ``peer``, whose probes do not fail."""

    def pass_probe(self) -> None:
        """Have the next beat, which was foreseen, over: its probe was answered at once."""

    def next_deadline_ns(self) -> int | None:
        """Return when ``advance`` is next worth calling; None while nobody is watched."""
