"""When a change is in force on every switch that has a say."""

from __future__ import annotations

from collections.abc import Callable, Collection


class InForce:
    """Waits for the switches of one change.

    One that is lost carries no packet that matters, and is not waited for where another has a say;
    the only one is, for there the change holds once it is back.

    Args:
        switches: Datapath ids; at least one.
        done: Called once, when it is in force.
    """

    def __init__(self, switches: Collection[int], done: Callable[[], None]) -> None:
        self._left = set(switches)
        self._arrived = False
        self._done = done

    def waits_for(self, dpid: int) -> bool:
        """Whether this switch is among those that have to answer."""
        return dpid in self._left

    def arrived(self, dpid: int) -> None:
        """It is in force on a switch."""
        if dpid in self._left:
            self._left.discard(dpid)
            self._arrived = True
            self._look()

    def lost(self, dpid: int) -> None:
        """A switch is gone."""
        if dpid in self._left and (self._arrived or len(self._left) > 1):
            self._left.discard(dpid)
            self._look()

    def _look(self) -> None:
        if not self._left:
            self._done()
