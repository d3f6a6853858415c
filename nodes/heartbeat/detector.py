"""Failure detection: when is a peer's silence a miss, and when is it a suspicion.

Pure code: every method is given the time, in nanoseconds of any one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Miss:
    """A heartbeat that was expected from ``peer`` and was not there by ``deadline_ns``.

    ``expected_seq`` is 0 where the peer has not been heard at all, so that none can be named.
    """

    peer: str
    expected_seq: int
    deadline_ns: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """``peer`` is suspected from ``at_ns`` on, after ``misses`` misses in a row."""

    peer: str
    misses: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Clear:
    """``peer`` was suspected and has been heard again at ``at_ns``."""

    peer: str
    at_ns: int


Finding = Miss | Suspect | Clear


class Detector(Protocol):
    """What the membership needs of a failure detector, whatever its method.

    A detector judges only the peers it watches. It reports each change once, as a finding.
    """

    def watch(self, peer: str, now_ns: int) -> None:
        """Expect heartbeats from ``peer`` from now on, forgetting what was known of it."""

    def forget(self, peer: str) -> None:
        """Expect nothing more of ``peer``; unknown peers are ignored."""

    def heartbeat(self, peer: str, seq: int, at_ns: int) -> list[Finding]:
        """Take in heartbeat ``seq`` of ``peer``, which arrived at ``at_ns``."""

    def advance(self, now_ns: int) -> list[Finding]:
        """Judge every watched peer by the clock."""

    def next_deadline_ns(self) -> int | None:
        """When ``advance`` is next worth calling; None while nobody is watched."""


@dataclass(slots=True)
class _Watched:
    deadline_ns: int = 0
    last_seq: int = 0
    misses: int = 0  # in a row
    suspected: bool = False


class FixedDeadline:
    """The classic detector (Linux-HA's ``keepalive`` and ``deadtime``): N misses in a row.

    After an arrival the next heartbeat is due one interval later and late half an interval after
    that; every further interval of silence is another miss. A heartbeat that comes after its
    deadline shows that the peer lives, but stays a miss.

    Args:
        interval_ns: the time between two heartbeats of one peer.
        misses: how many in a row make a suspicion; at least 1.
        grace_ns: how long a newly watched peer may take until it is first heard.
    """

    def __init__(self, interval_ns: int, misses: int, grace_ns: int) -> None:
        if interval_ns < 2 or misses < 1 or grace_ns < 0:
            raise ValueError(f"no detector with {interval_ns=}, {misses=}, {grace_ns=}")
        self._interval_ns = interval_ns
        self._patience_ns = interval_ns + interval_ns // 2
        self._misses = misses
        self._grace_ns = grace_ns
        self._peers: dict[str, _Watched] = {}
        # Never later than the true next deadline. An arrival mostly moves a deadline further
        # away, so this is brought up to date when it passes, not with every heartbeat.
        self._earliest_ns: int | None = None

    def watch(self, peer: str, now_ns: int) -> None:
        """See ``Detector.watch``."""
        watched = self._peers[peer] = _Watched()
        self._expect(watched, now_ns + max(self._grace_ns, self._patience_ns))

    def forget(self, peer: str) -> None:
        """See ``Detector.forget``."""
        self._peers.pop(peer, None)
        if not self._peers:
            self._earliest_ns = None

    def heartbeat(self, peer: str, seq: int, at_ns: int) -> list[Finding]:
        """See ``Detector.heartbeat``; one that is not newer than the last is ignored."""
        watched = self._peers.get(peer)
        if watched is None or seq <= watched.last_seq:
            return []
        findings: list[Finding] = []
        if watched.deadline_ns < at_ns:
            self._expire(peer, watched, at_ns, findings)
        if watched.suspected:
            findings.append(Clear(peer, at_ns))
        watched.last_seq = seq
        watched.misses = 0
        watched.suspected = False
        self._expect(watched, at_ns + self._patience_ns)
        return findings

    def advance(self, now_ns: int) -> list[Finding]:
        """See ``Detector.advance``."""
        if self._earliest_ns is None or now_ns <= self._earliest_ns:
            return []
        findings: list[Finding] = []
        for peer, watched in self._peers.items():
            if watched.deadline_ns < now_ns:
                self._expire(peer, watched, now_ns, findings)
        self._earliest_ns = min(watched.deadline_ns for watched in self._peers.values())
        return findings

    def next_deadline_ns(self) -> int | None:
        """See ``Detector.next_deadline_ns``; may be early, never late."""
        return self._earliest_ns

    def _expect(self, watched: _Watched, deadline_ns: int) -> None:
        watched.deadline_ns = deadline_ns
        if self._earliest_ns is None or deadline_ns < self._earliest_ns:
            self._earliest_ns = deadline_ns

    def _expire(self, peer: str, watched: _Watched, now_ns: int, findings: list[Finding]) -> None:
        while watched.deadline_ns < now_ns:
            watched.misses += 1
            # After k misses since seq s was heard, the next one missed is s + k + 1.
            expected = watched.last_seq + watched.misses if watched.last_seq else 0
            findings.append(Miss(peer, expected, watched.deadline_ns))
            if watched.misses >= self._misses and not watched.suspected:
                watched.suspected = True
                findings.append(Suspect(peer, watched.misses, watched.deadline_ns))
            watched.deadline_ns += self._interval_ns
