"""The faults of a run as its history has them, and whom they cut off from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from crunchbed.checks.lives import target_of
from crunchbed.history.history import History, Interval
from crunchbed.scenario.cluster import RINGS
from reserve_agent.contract.events import Event


class FaultSpan(NamedTuple):
    """One fault, from its ``fault.begin`` to its ``fault.end`` or the end of the history."""

    kind: str
    targets: tuple[str, ...]
    span: Interval
    data: dict[str, Any]

    @property
    def hit(self) -> bool:
        """Whether there was something to do it to."""
        return "impossible" not in self.data

    def separates(self, one: str, other: str) -> bool:
        """Whether it is a partition with the two on different sides."""
        return self.kind == "partition" and (one in self.targets) != (other in self.targets)

    def stalls(self, node: str, daemon: str = "heartbeat") -> bool:
        """Whether it stops this daemon of the node."""
        return (
            self.kind == "stall"
            and node in self.targets
            and daemon in self.data.get("daemons", ("heartbeat",))
        )

    def takes_down(self, node: str, network: str) -> bool:
        """Whether the node has no link to a network while it is on."""
        if self.kind == "switch-crash":
            lost = self.data.get("lost", {}).get(node, ())
            return network in lost or node in self.data.get("cut", ())
        named = self.data.get("network") in (None, network)
        return self.kind == "link-down" and node in self.targets and named


def fault_spans(history: History) -> list[FaultSpan]:
    """Return every fault that was begun, by time."""
    ends = list(history.of("fault.end"))
    found = []
    for begin in history.of("fault.begin"):
        end = next((end for end in ends if end.t >= begin.t and _same(begin, end)), None)
        if end is not None:
            ends.remove(end)
        until = history.span.end + 1 if end is None else end.t + 1
        data = begin.data
        targets = tuple(data.get("targets") or (target_of(begin),))
        found.append(FaultSpan(str(data.get("fault")), targets, Interval(begin.t, until), data))
    return found


def _same(begin: Event, end: Event) -> bool:
    return all(begin.data.get(key) == end.data.get(key) for key in ("fault", "target", "number"))


def cut_off_since(on: Sequence[FaultSpan], node: str, by: str) -> int | None:
    """Return since when ``by`` cannot hear ``node``, though it has power; None: it can.

    What several faults have taken down together counts from the last of them.

    Args:
        on: the faults that are on at the moment in question.
        node: the one that is not heard.
        by: the one that does not hear it.
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
    down: dict[tuple[str, Any], int] = {}
    events = sorted((*history.of("port.down"), *history.of("port.up")), key=lambda e: e.t)
    for event in events:
        link = host, _network = target_of(event), event.data.get("network")
        if event.kind == "port.down":
            down.setdefault(link, event.t)
        elif link in down:
            found.setdefault(host, []).append(Interval(down.pop(link), event.t))
    for (host, _network), since in down.items():
        found.setdefault(host, []).append(Interval(since, history.span.end + 1))
    return found
