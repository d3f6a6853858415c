"""Failure detection: what a node needs of a failure detector, whatever its method.

A detector decides who is sent what and when a peer's silence is a miss or a suspicion. What it
holds for dead is a ``Suspect``: the membership then makes of it a fence and a view, by majority.
Pure code: every method is given the time, in nanoseconds of any one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from nodes.membership.datagram import Kind


@dataclass(frozen=True, slots=True)
class Miss:
    """A heartbeat that was expected from ``peer`` and was not there by ``deadline_ns``.

    ``expected_seq`` is 0 where the peer has not been heard at all, so that none can be named.
    Where ``probed``, it is the number of this node's own probe and of the answer to it.
    """

    peer: str
    expected_seq: int
    deadline_ns: int
    probed: bool = False


@dataclass(frozen=True, slots=True)
class Warn:
    """``peer`` has not been heard for ``silent_ns``: late, and not yet suspected."""

    peer: str
    silent_ns: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """``peer`` is held for dead from ``at_ns`` on, after ``misses`` misses in a row."""

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
    """What is said of a node; the values are the wire's."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


class Update(NamedTuple):
    """A rumour: ``peer`` is in ``state``, said of its ``refuted``-th refutation, first ``by``."""

    peer: str
    state: State
    refuted: int
    by: str | None = None


class Message(NamedTuple):
    """What one detector says to another.

    Attributes:
        kind: what it is.
        seq: its number, or that of what it answers.
        about: whom a ping-req or an answer is about.
        refuted: how often its sender has refuted a suspicion of itself.
        updates: rumours.
    """

    kind: Kind
    seq: int
    about: str | None = None
    refuted: int = 0
    updates: tuple[Update, ...] = ()


class Outgoing(NamedTuple):
    """A message and to whom; None is every configured node."""

    to: tuple[str, ...] | None
    message: Message


class Detector(Protocol):
    """A failure detector.

    It judges only the peers it watches, and reports each change once, as a finding.
    """

    def watch(self, peer: str, now_ns: int) -> None:
        """Expect ``peer`` to be alive from now on, forgetting what was known of it."""

    def forget(self, peer: str) -> None:
        """Expect nothing more of ``peer``; unknown peers are ignored."""

    def received(self, peer: str, message: Message, at_ns: int) -> list[Finding]:
        """Take in what a watched peer said, which arrived at ``at_ns``."""

    def answer(self, sender: str, message: Message) -> None:
        """Answer the ping of a node that is not watched; nothing is believed of it."""

    def advance(self, now_ns: int) -> list[Finding]:
        """Judge every watched peer by the clock."""

    def beat(self, seq: int, now_ns: int, *, news: bool) -> None:
        """Interval number ``seq`` begins. With ``news`` every node must hear of this one now."""

    def outgoing(self) -> list[Outgoing]:
        """What is to be sent, once; to be asked after every other call."""

    def next_deadline_ns(self) -> int | None:
        """When ``advance`` is next worth calling; None while nobody is watched."""
