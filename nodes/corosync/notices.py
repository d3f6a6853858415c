"""What corosync's log says of heartbeats. Pure.

Corosync's libraries tell membership and quorum. Only its log says that a token is overdue, that a
link went silent, that corosync itself was not scheduled, or when it answers no client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\[TOTEM *\] Token has not been received in (\d+) ms")
_LINK = re.compile(r"\[KNET *\] (?:link|rx): host: (\d+) link: (\d+) is (down|up)")
_RING = re.compile(r"\[TOTEM *\] A new membership .* was formed")
_READY = re.compile(r"\[MAIN *\] Completed service synchronization")
_LATE = re.compile(r"Corosync main process was not scheduled .*?for (\d+(?:\.\d+)?) ms")


@dataclass(frozen=True, slots=True)
class TokenOverdue:
    """Three quarters of the token time-out (totem.token_warning) have passed without the token."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    """This node did not answer knet's pings on this link within knet_ping_timeout."""

    node_id: int
    link: int


@dataclass(frozen=True, slots=True)
class LinkUp:
    """This node answers knet's pings on this link again."""

    node_id: int
    link: int


@dataclass(frozen=True, slots=True)
class NotScheduled:
    """Corosync itself did not run for more than 80 % of its token time-out."""

    late_ns: int


@dataclass(frozen=True, slots=True)
class RingFormed:
    """A ring was formed; corosync answers no client until its services are synchronized."""


@dataclass(frozen=True, slots=True)
class Synchronized:
    """Corosync answers its clients, for the first time or again."""


Notice = TokenOverdue | LinkDown | LinkUp | NotScheduled | RingFormed | Synchronized


def read_notice(line: str) -> Notice | None:
    """Return the notice in a line of the log; None for a line without one."""
    if found := _TOKEN.search(line):
        return TokenOverdue(int(found[1]))
    if found := _LINK.search(line):
        return (LinkDown if found[3] == "down" else LinkUp)(int(found[1]), int(found[2]))
    if found := _LATE.search(line):
        return NotScheduled(round(float(found[1]) * 1_000_000))
    if _RING.search(line):
        return RingFormed()
    return Synchronized() if _READY.search(line) else None
