"""``corosync:`` of a scenario: time-outs by the names of corosync.conf(5), and which it refuses.

Durations are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from crunchbed.scenario import kinds
from crunchbed.scenario.facts import Contradiction
from crunchbed.scenario.kinds import DurationText
from crunchbed.scenario.section import Heartbeat, Section
from crunchbed.scenario.units import format_duration

MEMBERSHIPS: Final = ("crunchbed", "corosync")
MILLISECOND_NS: Final = 1_000_000

MOST_NODES: Final = 12
"""The largest ring that forms, on a machine with two processors, before a run gives up."""

# totemconfig.c of corosync 3.1: no time-out may be shorter than 30 ms, and a lost token is sent
# again after token / (token_retransmits_before_loss_const + 0.2).
_LEAST_NS = 30 * MILLISECOND_NS
_FIFTHS = 5
_CONSENSUS_TENTHS = 12


class Corosync(Section):
    """Settings of totem; ``token`` left out is ``heartbeat.interval`` x ``misses``.

    corosync's own defaults are 3 s for ``token``, 650 ms for ``token_coefficient`` (added for
    each node beyond two), 4 for ``token_retransmits_before_loss_const``, 50 ms for ``join`` and
    1.2 x token for ``consensus``. Here the coefficient is part of the token, so it is 0.
    ``two_node``: one node of two has quorum, as votequorum's key of this name says.
    """

    token: Annotated[int, kinds.duration("30ms"), DurationText] | None = None
    token_coefficient: Annotated[int, kinds.duration("0s"), DurationText] = 0
    token_retransmits_before_loss_const: Annotated[int, kinds.whole("", 1, 100)] = 4
    join: Annotated[int, kinds.duration("30ms"), DurationText] = 50_000_000
    consensus: Annotated[int, kinds.duration("30ms"), DurationText] | None = None
    two_node: Annotated[bool, kinds.yes_or_no()] = False

    def token_ns(self, silence_ns: int) -> int:
        """``totem.token``, or else ``silence_ns``, before what is added for nodes beyond two."""
        return silence_ns if self.token is None else self.token

    def token_timeout_ns(self, silence_ns: int, nodes: int) -> int:
        """How long corosync waits for the token on a cluster of so many nodes."""
        return self.token_ns(silence_ns) + max(0, nodes - 2) * self.token_coefficient

    def consensus_ns(self, silence_ns: int, nodes: int) -> int:
        """How long corosync then waits until the remaining nodes agree on the next ring."""
        default = self.token_timeout_ns(silence_ns, nodes) * _CONSENSUS_TENTHS // 10
        return default if self.consensus is None else self.consensus


def contradictions(settings: Corosync, heartbeat: Heartbeat, nodes: int) -> Iterator[Contradiction]:
    """Find what corosync would refuse, or could not keep, on a cluster of so many nodes."""
    silence_ns = heartbeat.silence_ns
    token = settings.token_ns(silence_ns)
    if nodes > MOST_NODES:
        yield "cluster.nodes", f"at most {MOST_NODES} nodes with membership: corosync", f"{nodes}"
    if settings.two_node and nodes != 2:
        yield "corosync.two_node", "false unless cluster.nodes is 2", "true"
    times = {"token": token, "token_coefficient": settings.token_coefficient}
    times |= {"join": settings.join, "consensus": settings.consensus or 0}
    for key, value in times.items():
        if value % MILLISECOND_NS:
            yield f"corosync.{key}", "whole milliseconds", format_duration(value)
    if token < heartbeat.interval:
        least = format_duration(heartbeat.interval)
        yield (
            "corosync.token",
            f"at least heartbeat.interval ({least}), for it is waited for in its place",
            format_duration(token),
        )
    count = settings.token_retransmits_before_loss_const
    least_ns = _LEAST_NS * (count * _FIFTHS + 1) // _FIFTHS
    if settings.token_timeout_ns(silence_ns, nodes) < least_ns:
        yield (
            "corosync.token",
            f"at least {format_duration(least_ns)}, the least that corosync accepts with "
            f"token_retransmits_before_loss_const {count}",
            format_duration(token),
        )
    consensus = settings.consensus_ns(silence_ns, nodes)
    if consensus < settings.join:
        least = format_duration(settings.join)
        yield "corosync.consensus", f"at least corosync.join ({least})", format_duration(consensus)
