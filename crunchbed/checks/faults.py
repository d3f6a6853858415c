"""The faults of a run, and which nodes they keep from hearing which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crunchbed.checks.lives import target_of
from crunchbed.history.history import History, Interval
from crunchbed.scenario.cluster import RINGS
from reserve_agent.contract.events import FaultBegan, FaultEnded, PortDown, PortUp


class FaultSpan(NamedTuple):
    """One fault.

    Attributes:
        kind: Its kind, such as ``link-down``.
        targets: Whom it hits.
        span: From its begin to its end, or to the end of the history.
        began: The event of its begin.
    """

    kind: str
    targets: tuple[str, ...]
    span: Interval
    began: FaultBegan

    @property
    def hit(self) -> bool:
        """Whether the fault had something to hit."""
        return self.began.impossible is None

    def separates(self, one: str, other: str | None) -> bool:
        """Whether the fault is a partition with the two nodes on different sides."""
        return self.kind == "partition" and (one in self.targets) != (other in self.targets)

    def stalls(self, node: str, daemon: str = "heartbeat") -> bool:
        """Whether the fault stops this daemon of the node."""
        stopped = ("heartbeat",) if self.began.daemons is None else self.began.daemons
        return self.kind == "stall" and node in self.targets and daemon in stopped

    def cuts_off(self, node: str) -> bool:
        """Whether the fault is a switch without power, and the node has no heartbeat ring left."""
        return node in (self.began.cut or ())

    def takes_down(self, node: str, network: str) -> bool:
        """Whether the node has no link to the network while the fault is on."""
        if self.kind == "switch-crash":
            lost = (self.began.lost or {}).get(node, ())
            return network in lost or self.cuts_off(node)
        named = self.began.network in (None, network)
        return self.kind == "link-down" and node in self.targets and named


def fault_spans(history: History) -> list[FaultSpan]:
    """Return every fault that began, by time."""
    ends = list(history.of(FaultEnded))
    found = []
    for begin in history.of(FaultBegan):
        end = next((end for end in ends if end.t >= begin.t and _same(begin, end)), None)
        if end is not None:
            ends.remove(end)
        until = history.span.end + 1 if end is None else end.t + 1
        targets = tuple(begin.targets) or (target_of(begin),)
        found.append(FaultSpan(begin.fault, targets, Interval(begin.t, until), begin))
    return found


def _same(begin: FaultBegan, end: FaultEnded) -> bool:
    return (begin.fault, begin.target, begin.number) == (end.fault, end.target, end.number)


def cut_off_since(on: Sequence[FaultSpan], node: str, by: str) -> int | None:
    """Return since when faults keep ``by`` from hearing ``node``; None: they do not.

    Where it takes several faults together, the time of the last one counts.

    Args:
        on: the faults that are on at the moment in question.
        node: the node that may not be heard.
        by: the node that may not hear it.
    """
    hits = [one for one in on if one.hit]
    silenced = [one.span.start for one in hits if one.separates(node, by) or one.stalls(node)]
    lost = (_all_down_since(hits, node, networks) for networks in RINGS)
    return min([*silenced, *(since for since in lost if since is not None)], default=None)


def _all_down_since(on: Sequence[FaultSpan], node: str, networks: Sequence[str]) -> int | None:
    by_network = [
        [one.span.start for one in on if one.takes_down(node, network)] for network in networks
    ]
    return max(map(min, by_network)) if all(by_network) else None


def ports_down(history: History) -> dict[str, list[Interval]]:
    """Return when faults held the switch ports down, by host."""
    found: dict[str, list[Interval]] = {}
    down: dict[tuple[str, str | None], int] = {}
    events: list[PortDown | PortUp] = [*history.of(PortDown), *history.of(PortUp)]
    for event in sorted(events, key=lambda event: event.t):
        link = host, _network = target_of(event), event.network
        if isinstance(event, PortDown):
            down.setdefault(link, event.t)
        elif link in down:
            found.setdefault(host, []).append(Interval(down.pop(link), event.t))
    for (host, _network), since in down.items():
        found.setdefault(host, []).append(Interval(since, history.span.end + 1))
    return found
