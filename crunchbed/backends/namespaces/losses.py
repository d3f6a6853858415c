"""Loss on the wire, simulated by the nodes' hooks: who loses what share of whose packets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


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
        self._on: dict[object, tuple[Loss, ...]] = {}

    def begin(self, owner: object, losses: Iterable[Loss]) -> None:
        """Add the losses of one owner; every node is told once."""
        self._on[owner] = tuple(losses)
        self._update(self._on[owner])

    def undo(self, owner: object) -> None:
        """Take the losses of an owner away; harmless where there are none."""
        self._update(self._on.pop(owner, ()))

    def _update(self, changed: Iterable[Loss]) -> None:
        for node in sorted({loss.node for loss in changed}):
            self._tell(node, [[source, share] for source, share in self._rows(node).items()])

    def _rows(self, node: str) -> Mapping[str | None, float]:
        """Name each source once: independent losses leave (1 - a)(1 - b) of the packets."""
        rows: dict[str | None, float] = {}
        for losses in self._on.values():
            for _, source, share in (loss for loss in losses if loss.node == node):
                rows[source] = 1 - (1 - rows.get(source, 0.0)) * (1 - share)
        return rows
