"""What every daemon of a simulated node is: turns on the run's clock, in one life of its node."""

from __future__ import annotations

from typing import Protocol

from crunchbed.backends.simulation.calm import Membership
from crunchbed.backends.simulation.disk import Device
from crunchbed.backends.simulation.fences import FenceService
from crunchbed.backends.simulation.host import Host
from crunchbed.backends.simulation.loop import SimulatedLoop, Timer
from crunchbed.backends.simulation.memory import SimulatedMemory
from crunchbed.scenario.schema import Scenario
from reserve_agent.contract.events.base import Event
from reserve_agent.contract.events.membership import ViewInstalled


class Home(Protocol):
    """The node that daemons run on."""

    name: str
    scenario: Scenario
    loop: SimulatedLoop
    host: Host
    memory: SimulatedMemory
    fences: FenceService
    device: Device
    incarnation: int
    portal: str
    membership: Membership

    def stirs_by(self, ns: int, but: str) -> bool:
        """Whether a daemon other than ``but`` has a turn until then."""

    def note(self, event: Event) -> None:
        """Put an event into the node's part of the history."""

    def tell_view(self, view: ViewInstalled) -> None:
        """Tell the node's service of a view."""


class Daemon:
    """A daemon of one life of a node: it has turns, unless it stands still or has ended.

    Args:
        node: Its node.
        name: As in ``daemon.ready``.
    """

    def __init__(self, node: Home, name: str) -> None:
        self.name = name
        self._node = node
        self._loop = node.loop
        self._paused = False
        self._timer = Timer(self._loop, self._fire)
        self._missed = False  # a turn was due while it stood still

    @property
    def due_ns(self) -> int | None:
        """When its next turn is, as far as it is known; None: it waits for others."""
        return self._timer.due_ns

    def _now(self) -> int:
        return self._loop.now_ns()

    def _turn(self) -> None:
        """Do what is due, and say when the next turn is."""
        raise NotImplementedError

    def _next(self, ns: int) -> None:
        self._timer.set(ns)

    def wake(self) -> None:
        """Have a turn now."""
        self._timer.set(self._now())

    def _fire(self) -> None:
        if self._paused:
            self._missed = True
        else:
            self._turn()

    def pause(self) -> None:
        """Stand still."""
        self._paused = True

    def resume(self) -> None:
        """Go on where it stood."""
        self._paused = False
        if self._missed:
            self._missed = False
            self.wake()

    def end(self) -> None:
        """End in order; nothing is said or sent any more."""
        self._timer.cancel()

    def die(self) -> None:
        """The node has lost its power."""
        self._timer.cancel()
