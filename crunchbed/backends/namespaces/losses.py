"""Loss on the wire, simulated by the nodes' hooks: who loses what share of whose packets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from crunchbed.faults.holds import Held


class Loss(NamedTuple):
    """``node`` loses this share of the packets from address ``source``; None: from any."""

    node: str
    source: str | None
    share: float


Tell = Callable[[str, list[list[object]]], None]
"""Tells a node's hooks their losses: (node, rows of [source, share])."""


class LossyWire:
    """All losses that are on, so that those which overlap add up and are undone one by one."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._on: Held[tuple[str, str | None], float] = Held(self._update, _independent)

    def begin(self, owner: object, losses: Iterable[Loss]) -> None:
        """Add the losses of one owner; every node is told once."""
        self._on.hold(owner, {(one.node, one.source): one.share for one in losses})

    def undo(self, owner: object) -> None:
        """Take the losses of an owner away; harmless where there are none."""
        self._on.release(owner)

    def _update(self, changed: Mapping[tuple[str, str | None], float | None]) -> None:
        for node in sorted({node for node, _ in changed}):
            on = self._on.all().items()
            self._tell(node, [[source, share] for (one, source), share in on if one == node])


def _independent(shares: Sequence[float]) -> float:
    """Return the share that is lost to several: losses leave (1 - a)(1 - b) of the packets."""
    return 1 - math.prod(1 - share for share in shares)
