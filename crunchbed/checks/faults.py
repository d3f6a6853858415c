"""The faults that were injected, as intervals: what was on when, and whom it cut off from whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from crunchbed.checks.lives import target_of
from crunchbed.faults.base import Effect, targets_of
from crunchbed.faults.kinds import effect_of
from crunchbed.history.history import History, Interval, remembered
from crunchbed.scenario.cluster import RINGS
from reserve_agent.contract.events.faults import FaultBegan, FaultEnded, PortDown, PortUp

_OF_PACKETS: Final = ("link-down", "partition", "loss", "delay")


@dataclass(frozen=True)
class FaultSpan:
    """One fault.

    Attributes:
        began: The event of its begin.
        span: From the begin to its end, or to the end of the history.
    """

    began: FaultBegan
    span: Interval

    @property
    def kind(self) -> str:
        """The kind, such as ``link-down``."""
        return self.began.fault

    @property
    def targets(self) -> tuple[str, ...]:
        """The hosts that were hit."""
        return targets_of(self.began)

    @cached_property
    def effect(self) -> Effect:
        """What the fault did to the cluster."""
        return effect_of(self.began)

    @property
    def hit(self) -> bool:
        """Whether there was something to hit."""
        return self.began.impossible is None

    @property
    def packets_only(self) -> bool:
        """Whether it hits the packets of hosts, and so nothing while these are down."""
        return self.kind in _OF_PACKETS

    def separates(self, one: str, other: str | None) -> bool:
        """Return whether it is a partition with the two nodes on different sides."""
        return (one in self.effect.parted) != (other in self.effect.parted)

    def deafens(self, by: str, node: str) -> bool:
        """Return whether all packets of the node to ``by`` are lost, though not by a partition."""
        effect = self.effect
        return node in effect.muted or by in effect.deaf or (node, by) in effect.unheard

    def stalls(self, node: str, daemon: str = "heartbeat") -> bool:
        """Return whether this daemon of the node stands still."""
        return daemon in self.effect.stalled.get(node, ())

    def stops(self, node: str, part: str) -> bool:
        """Return whether the fault has this daemon stopped, or the target of the storage host."""
        hangs = self.kind == "stall" and self.effect.target_failed and node in self.targets
        return self.stalls(node, part) or (hangs and part == "target")

    def takes_down(self, node: str, network: str) -> bool:
        """Return whether the node has no link to the network."""
        return node in self.effect.unlinked or network in self.effect.lost.get(node, ())


@remembered
def fault_spans(history: History) -> list[FaultSpan]:
    """Return every fault that was begun, by time."""
    ends = list(history.of(FaultEnded))
    found = []
    for begin in history.of(FaultBegan):
        end = next((end for end in ends if end.t >= begin.t and _same(begin, end)), None)
        if end is not None:
            ends.remove(end)
        until = history.span.end + 1 if end is None else end.t + 1
        found.append(FaultSpan(begin, Interval(begin.t, until)))
    return found


def _same(begin: FaultBegan, end: FaultEnded) -> bool:
    return (begin.fault, begin.target, begin.number) == (end.fault, end.target, end.number)


def cut_off_since(on: Sequence[FaultSpan], node: str, by: str) -> int | None:
    """Return since when ``by`` cannot hear ``node``, although the node has power; None: it can.

    Where it takes several faults to cut the node off, that is the begin of the last of them.

    Args:
        on: the faults that are on at the moment in question.
        node: the node that is not heard.
        by: the node that does not hear it.
    """
    hits = [one for one in on if one.hit]
    silenced = [
        one.span.start
        for one in hits
        if one.separates(node, by) or one.stalls(node) or one.deafens(by, node)
    ]
    lost = (_all_down_since(hits, node, networks) for networks in RINGS)
    return min([*silenced, *(since for since in lost if since is not None)], default=None)


def cut_off_at(
    faults: Sequence[FaultSpan], node: str, by: str, t: int, boot: int | None = None
) -> int | None:
    """Return since when ``by`` cannot hear ``node`` at a moment; None: it can.

    Faults that follow each other without a gap are one: the begin of the first counts.

    Args:
        faults: All faults.
        node: The node that is not heard.
        by: The node that does not hear it.
        t: The moment, nanoseconds.
        boot: When the node last booted: its daemons of before are what a stall held then.
    """
    held = [one for one in faults if boot is None or not one.stalls(node) or one.span.start >= boot]
    since = None
    while (found := cut_off_since([one for one in held if t in one.span], node, by)) is not None:
        if found == since:
            break
        since = t = found
    return since


def _all_down_since(on: Sequence[FaultSpan], node: str, networks: Sequence[str]) -> int | None:
    by_network = [
        [one.span.start for one in on if one.takes_down(node, network)] for network in networks
    ]
    return max(map(min, by_network)) if all(by_network) else None


def ports_down(history: History) -> dict[str, list[Interval]]:
    """Return when faults held switch ports down, by the host at the port; intervals may overlap.

    A port that another fault keeps down does not come up with a fault: its part ends where it ends.
    """
    found: dict[str, list[Interval]] = {}
    down: dict[tuple[str, str | None, int | None], int] = {}
    changes: list[PortDown | PortUp] = history.together(PortDown, PortUp)
    for event in changes:
        link = host, *_ = target_of(event), event.network, event.number
        if isinstance(event, PortDown):
            down.setdefault(link, event.t)
        elif link in down:
            found.setdefault(host, []).append(Interval(down.pop(link), event.t))
    ends: dict[int | None, int] = {
        end.number: end.t for end in history.of(FaultEnded) if end.still_held
    }
    for (host, _network, number), since in down.items():
        until = ends.get(number, history.span.end + 1)
        found.setdefault(host, []).append(Interval(since, until))
    return found
