"""Which nodes are under memory pressure, as their agents say, and what the switches do about it.

``reserve_agent/pressure_report.py`` has the message. No clock and no socket is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from reserve_agent.contract.events.base import NOW, Event
from reserve_agent.contract.events.switches import PressureRefused, ShedApplied
from reserve_agent.controller.refusals import Refusals
from reserve_agent.lines.framing import Message

LEASE_NS = 1_000_000_000
"""Agents under pressure repeat themselves ten times as often. An agent that is silent for so long
is gone, and with it the reason to keep packets from its node."""


class Apply(Protocol):
    """Begins or ends shedding."""

    def __call__(self, node: str, *, on: bool, done: Callable[[int], None]) -> bool:
        """See ``Switches.shed``."""


@dataclass
class _Node:
    """A node as its agent has described it; times are nanoseconds of CLOCK_MONOTONIC."""

    on: bool = False
    episode: int = 0
    since: int = 0
    heard_at: int = 0


class PressureListener:
    """Takes pressure messages, has the switches follow, and records when they do.

    All methods belong to one thread; ``record`` may be called from any thread. ``clock`` has
    nanoseconds of CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        nodes: Iterable[str],
        apply: Apply,
        record: Callable[[Event], None],
        clock: Callable[[], int],
    ) -> None:
        self._nodes = {name: _Node() for name in nodes}
        self._changes: dict[str, ShedApplied] = {}  # that the switches have yet to make
        self._apply = apply
        self._record = record
        self._clock = clock
        self._refusals = Refusals(PressureRefused, record)
        self._refused = 0
        self._malformed = 0

    def hear(self, message: Message) -> None:
        """Take a message; ``tick`` acts on it. Of several changes of a node the last one counts."""
        match message:
            case {"node": str(name), "on": bool(on), "at": int(at)} if type(at) is int:
                if name in self._nodes:
                    self._take(name, self._clock(), on=on, at=at)
                else:
                    self._refused += 1
                    self._refusals.count("unknown node")
            case _:
                self.refuse_lines(1, "no pressure message")

    def refuse_lines(self, count: int, reason: str) -> None:
        """Count lines that are no message."""
        if count:
            self._malformed += count
            self._refusals.count(reason, count)

    def _take(self, name: str, now: int, *, on: bool, at: int) -> None:
        node = self._nodes[name]
        node.heard_at = now
        if on and not (node.on and node.since == at):
            node.on, node.since = True, at
            node.episode += 1
        elif not on and node.on:
            node.on = False
        else:
            return  # a repetition
        self._changes[name] = ShedApplied(
            target=name,
            on=on,
            episode=node.episode,
            pressure_at=at,
            received_at=now,
            in_force_at=NOW,
        )

    def tick(self) -> None:
        """Have the switches follow; to be called after messages, and several times a second."""
        now = self._clock()
        for name, node in self._nodes.items():
            if node.on and now - node.heard_at > LEASE_NS:
                self._take(name, now, on=False, at=now)
        changes, self._changes = self._changes, {}
        for change in changes.values():
            self._apply(change.target, on=change.on, done=partial(self._in_force, change))
        self._refusals.report(now)

    def _in_force(self, change: ShedApplied, at: int) -> None:
        self._record(replace(change, in_force_at=at))

    def status(self) -> dict[str, Any]:
        """Messages refused, lines that are no message, and the nodes under pressure."""
        pressed = sorted(name for name, node in self._nodes.items() if node.on)
        return {"refused": self._refused, "malformed": self._malformed, "nodes": pressed}

    def close(self) -> None:
        """Record what was refused since the last report."""
        self._refusals.close()
