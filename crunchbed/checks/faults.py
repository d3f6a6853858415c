"""The faults of a run as its history has them, and whom they cut off from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from crunchbed.checks.lives import target_of
from crunchbed.history import Event, History, Interval


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

    def cuts_off(self, node: str, other: str) -> bool:
        """Whether ``other`` cannot hear ``node`` while it is on, though the node has power."""
        whole = self.data.get("network") in (None, "cluster")
        cut = self.kind == "link-down" and node in self.targets and whole
        switch = self.kind == "switch-crash" and node in self.data.get("cut", ())
        return cut or switch or self.separates(node, other) or self.stalls(node)


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


def cut_off_since(spans: Sequence[FaultSpan], node: str, by: str, t: int) -> int | None:
    """Return since when faults kept ``by`` from hearing ``node`` at ``t``; None: none did."""
    times = [
        fault.span.start
        for fault in spans
        if fault.hit and t in fault.span and fault.cuts_off(node, by)
    ]
    return min(times, default=None)


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
