"""What corosync's log says of heartbeats. Pure.

Corosync's libraries tell membership and quorum. Only its log says that a token is overdue, that a
link went silent, or that corosync itself was not scheduled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\[TOTEM *\] Token has not been received in (\d+) ms")
_LINK = re.compile(r"\[KNET *\] (?:link|rx): host: (\d+) link: (\d+) is (down|up)")
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


Notice = TokenOverdue | LinkDown | LinkUp | NotScheduled


def read_notice(line: str) -> Notice | None:
    """Return the notice in a line of the log; None for a line without one."""
    if found := _TOKEN.search(line):
        return TokenOverdue(int(found[1]))
    if found := _LINK.search(line):
        return (LinkDown if found[3] == "down" else LinkUp)(int(found[1]), int(found[2]))
    if found := _LATE.search(line):
        return NotScheduled(round(float(found[1]) * 1_000_000))
    return None
