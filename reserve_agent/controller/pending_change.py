"""When a change is in force on every switch that it concerns."""

from __future__ import annotations

from collections.abc import Callable, Collection


class PendingChange:
    """Waits until the switches of one change have answered.

    A switch that is lost carries no packet that matters. So it is not waited for, unless it is the
    only switch of the change: the change then holds once that switch is back. ``done`` is called
    once, when the change is in force.
    """

    def __init__(self, switches: Collection[int], done: Callable[[], None]) -> None:
        self._left = set(switches)
        self._arrived = False
        self._done = done

    def waits_for(self, dpid: int) -> bool:
        """Whether this switch has yet to answer."""
        return dpid in self._left

    def arrived(self, dpid: int) -> None:
        """The change is in force on a switch."""
        if dpid in self._left:
            self._left.discard(dpid)
            self._arrived = True
            self._check()

    def lost(self, dpid: int) -> None:
        """The connection of a switch is gone."""
        if dpid in self._left and (self._arrived or len(self._left) > 1):
            self._left.discard(dpid)
            self._check()

    def _check(self) -> None:
        if not self._left:
            self._done()
