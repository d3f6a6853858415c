"""Histories written by hand, in milliseconds, for tests of what is read from them."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

from crunchbed.history.history import History, Interval
from nodes.membership.datagram import tag_of
from reserve_agent.contract.events.base import Event, UnknownEvent
from reserve_agent.contract.events.kinds import KINDS, from_record

MS = 1_000_000
_EMPTY: dict[str, Any] = {"int": 0, "str": "", "bool": False, "Mapping": {}}
ADDRESSES = {f"n{number}": f"10.77.0.{number}" for number in range(1, 10)}


def event(kind: str, **fields: Any) -> Event:
    """An event of which a test says only what it is about; what else is needed is 0 or empty."""
    cls = KINDS.get(kind, UnknownEvent)
    needed = [one for one in dataclasses.fields(cls) if one.default is dataclasses.MISSING]
    filled = {one.name: _EMPTY.get(str(one.type).split("[")[0], ()) for one in needed}
    return from_record({"kind": kind, **filled, **fields})


class Recording:
    """Events in the order they are added; times in milliseconds."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, ms: float, kind: str, node: str = "run", /, **fields: Any) -> Self:
        """Add one event."""
        self.events.append(event(kind, t=round(ms * MS), node=node, **fields))
        return self

    def phases(self, **ms: float) -> Self:
        """Add phases by name, each at its time."""
        for name, at in ms.items():
            self.add(at, "phase", name=name)
        return self

    def complete(self) -> Self:
        """Add phases of a whole run, up to 10 s, and a verification without loss."""
        self.phases(start=0, control=100, inject=1000, recovery=4000, collect=10_000)
        return self.add(10_100, "verify.result", "storage", checked=9, ok=9, lost=0, corrupt=0)

    def fence(self, ms: float, target: str, *, view: int, observers: tuple[str, ...]) -> Self:
        """Add a fence at ``ms`` and the view without the target."""
        self.add(ms, "fence.start", target=target, by=observers[0])
        self.add(ms + 5, "node.down", target=target)
        self.add(ms + 6, "fence.confirmed", target=target, by=observers[0])
        for index, node in enumerate(observers):
            at = ms + 10 + index
            self.add(at, "membership.view", node, number=view, removed=[target], added=[])
        return self

    def rejoin(self, ms: float, target: str, *, view: int, observers: tuple[str, ...]) -> Self:
        """Add the node's boot at ``ms`` and, 100 ms later, the view with it."""
        self.add(ms, "node.up", target=target)
        for node in observers:
            self.add(ms + 100, "membership.view", node, number=view, removed=[], added=[target])
        return self

    def miss(self, ms: float, observer: str, peer: str, seq: int, incarnation: int = 0) -> Self:
        """Add a miss at its deadline."""
        tag = tag_of(int(peer[1:]) - 1, incarnation, seq)
        fields = {"peer": peer, "seq": seq, "deadline": round(ms * MS), "tag": tag}
        return self.add(ms, "heartbeat.miss", observer, **fields)

    def drop(
        self, ms: float, hook: str, reason: str, *, sender: str, observer: str, seq: int
    ) -> Self:
        """Add a dropped heartbeat, as the hook on the right one of the two nodes records it."""
        node = sender if hook == "transmit" else observer
        return self.add(
            ms,
            "drop",
            node,
            hook=hook,
            reason=reason,
            cls="heartbeat",
            src=ADDRESSES[sender],
            dst=ADDRESSES[observer],
            tag=tag_of(int(sender[1:]) - 1, 0, seq),
            pages=1,
        )

    def fault(self, begin_ms: float, end_ms: float, kind: str, *targets: str, **more: Any) -> Self:
        """Add a fault with its begin and its end, and the port that a link-down takes down."""
        names = {"fault": kind, "target": ",".join(targets), "targets": list(targets)}
        if kind == "link-down":
            self.add(begin_ms, "port.down", target=targets[0])
            self.add(end_ms, "port.up", target=targets[0])
        self.add(begin_ms, "fault.begin", **names, **more)
        return self.add(end_ms, "fault.end", **names)

    def sent(self, ms: float, node: str, seq: int) -> Self:
        """Add a heartbeat that was sent."""
        return self.add(ms, "heartbeat.sent", node, seq=seq, peers=2)

    def ack(self, ms: float, node: str, submitted_ms: float) -> Self:
        """Add an acknowledged write."""
        return self.add(ms, "write.ack", node, submitted=round(submitted_ms * MS), blocks=4)

    def pressure(self, begin_ms: float, end_ms: float, node: str) -> Self:
        """Add one whole episode."""
        begin, end = round(begin_ms * MS), round(end_ms * MS)
        self.add(begin_ms, "pressure.begin", node, free=500)
        return self.add(end_ms, "pressure.end", node, since=begin, duration_ns=end - begin)

    def history(self) -> History:
        """Return it, sorted by time."""
        return History(sorted(self.events, key=lambda event: event.t))


def ms(begin: float, end: float) -> Interval:
    """Return an interval given in milliseconds."""
    return Interval(round(begin * MS), round(end * MS))
