"""The device that cuts nodes off: it may wait first, be slow, or fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crunchbed.run.world import EventRecorder
from reserve_agent.contract.events.membership import FenceDelayed, FenceFailed


class FenceDevice:
    """Implements ``crunchbed.run.world.Fence``.

    Args:
        cut_off: Cuts a node off for another one; returns whether that is certain.
        delay_ns: By how much the fence of a node waits before it is carried out.
        recorder: Is told of fences that wait or fail.

    Attributes:
        slow_ns: Time that the device takes for the fence of a node, by node.
        fails_until: By node: the fence requests up to this number, counted from 1, fail.
    """

    def __init__(
        self,
        cut_off: Callable[[str, str], bool],
        delay_ns: Callable[[str], int],
        recorder: EventRecorder,
    ) -> None:
        self._cut_off = cut_off
        self._delay_ns = delay_ns
        self._recorder = recorder
        self._requests: dict[str, int] = {}
        self.slow_ns: dict[str, int] = {}
        self.fails_until: dict[str, int] = {}

    def requests(self, target: str) -> int:
        """Return how many requests to cut a node off were carried out, or failed."""
        return self._requests.get(target, 0)

    def set(self, things: Mapping[tuple[str, str], int | None]) -> None:
        """Set, or remove, what is wrong with the device: (``fails`` or ``takes``, node)."""
        for (what, node), value in things.items():
            book = self.fails_until if what == "fails" else self.slow_ns
            if value is None:
                book.pop(node, None)
            else:
                book[node] = value

    def wait_ns(self, target: str, by: str) -> int:
        """Return how long a request that has just come is to wait until it is carried out."""
        wait = self._delay_ns(target) + self.slow_ns.get(target, 0)
        if wait:
            self._recorder.record(FenceDelayed(target=target, by=by, delay_ns=wait))
        return wait

    def __call__(self, target: str, by: str) -> bool:
        """Cut a node off; returns whether that is certain."""
        self._requests[target] = number = self.requests(target) + 1
        if number <= self.fails_until.get(target, 0):
            self._recorder.record(FenceFailed(target=target, by=by))
            return False
        return self._cut_off(target, by)
