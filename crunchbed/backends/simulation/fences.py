"""The fence service of a simulated cluster: ``nodes.membership.fences`` with a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crunchbed.backends.simulation.loop import SimulatedLoop
from crunchbed.run.world import Fence
from nodes.membership.fences import FenceAnswer, FenceLedger

ASK_NS: Final = 500_000
"""One way between a node and the fence service, which no switch of the cluster lies on."""


class FenceService:
    """Cuts nodes off for other ones, see ``nodes/fence_service.py``."""

    def __init__(self, loop: SimulatedLoop, fence: Fence) -> None:
        self._loop = loop
        self._fence = fence
        self._ledger = FenceLedger(fence)
        self.released = self._ledger.released

    def ask(self, target: str, by: str, view: int, answer: Callable[[FenceAnswer], None]) -> None:
        """Have ``target`` cut off for ``by``; ``answer`` is told whether it is certain."""

        def reach() -> None:
            wait = 0 if self._ledger.is_down(target) else self._fence.wait_ns(target, by)
            self._loop.at(self._loop.now_ns() + wait, decide)

        def decide() -> None:
            now = self._loop.now_ns()
            ok, since = self._ledger.ask(target, by, view, now)
            told = FenceAnswer(target, view, ok, since)
            self._loop.at(now + ASK_NS, lambda: answer(told))

        self._loop.at(self._loop.now_ns() + ASK_NS, reach)
