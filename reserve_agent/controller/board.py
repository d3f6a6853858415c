"""Which nodes are under pressure, as far as their agents say so. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reserve_agent.controller.pressure import Kind, PressureMessage, Refused, decode

LEASE_NS = 1_000_000_000
"""An agent repeats what it said ten times as often. After such a silence it is gone, and with it
the reason to keep other people's packets from its node."""


@dataclass(frozen=True)
class Change:
    """What is to be done at the switches, and since when there was a reason for it.

    Attributes:
        node: Logical name.
        on: Whether to shed what goes to it.
        episode: Number of its pressure episode, from 1 in the life of this controller.
        pressure_at: When the pressure began or ended, by the node's hooks.
        received_at: When this controller heard of it; both nanoseconds of CLOCK_MONOTONIC.
    """

    node: str
    on: bool
    episode: int
    pressure_at: int
    received_at: int


@dataclass
class _Node:
    sequence: int = -1
    on: bool = False
    episode: int = 0
    since: int = 0
    heard_at: int = 0


class PressureBoard:
    """Takes datagrams in and says what they change.

    Args:
        token: The run's.
        nodes: Names of the nodes that there are.
    """

    def __init__(self, token: bytes, nodes: Iterable[str]) -> None:
        self._token = token
        self._nodes = {name: _Node() for name in nodes}

    @property
    def pressed(self) -> frozenset[str]:
        """The nodes under pressure."""
        return frozenset(name for name, node in self._nodes.items() if node.on)

    def receive(self, datagram: bytes, now: int) -> Change | None:
        """What a datagram changes; None where it repeats what is known.

        Raises:
            Refused: see ``pressure.decode``; or the node is unknown, or the message is old.
        """
        message = decode(datagram, self._token)
        node = self._nodes.get(message.node)
        if node is None:
            raise Refused("unknown node")
        if message.sequence <= node.sequence:
            raise Refused("repeated")
        node.sequence, node.heard_at = message.sequence, now
        if message.kind is Kind.ENTER:
            return self._entered(node, message, now)
        return self._left(node, message.node, message.pressure_at, now)

    def _entered(self, node: _Node, message: PressureMessage, now: int) -> Change | None:
        if node.on and node.since == message.pressure_at:
            return None
        node.on, node.since = True, message.pressure_at
        node.episode += 1
        return Change(message.node, True, node.episode, message.pressure_at, now)

    def _left(self, node: _Node, name: str, pressure_at: int, now: int) -> Change | None:
        if not node.on:
            return None
        node.on = False
        return Change(name, False, node.episode, pressure_at, now)

    def lapsed(self, now: int) -> list[Change]:
        """The nodes whose agents have fallen silent under pressure: it is taken to be over."""
        found = []
        for name, node in self._nodes.items():
            if node.on and now - node.heard_at > LEASE_NS:
                node.on = False
                found.append(Change(name, False, node.episode, now, now))
        return found
