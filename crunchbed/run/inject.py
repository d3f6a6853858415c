"""Carrying out a crunch on a running cluster, and taking it back: one small class for each kind."""

from __future__ import annotations

from typing import Protocol

from crunchbed.history.recorder import Recorder
from crunchbed.run.plan import Burst, Plan
from crunchbed.run.world import Clock, Flood, Node, NodeSilent, World, burst_asked_ns
from reserve_agent.contract.events.faults import CrunchBegan, CrunchEnded
from reserve_agent.errors import RunInvalid

_LEAD_NS = 300_000_000
"""Between telling a node and the crunch, so that it starts on time; a process starts in it."""


class Crunch(Protocol):
    """One kind of crunch on one node."""

    def begin(self, start_ns: int) -> int:
        """Arrange the crunch for ``start_ns``; returns a time before which it cannot be over."""

    def pending(self) -> bool:
        """Whether the crunch goes on by something else than the pressure that is left."""

    def undo(self) -> None:
        """End what is left of the crunch."""


class WritebackCrunch:
    """Normal tasks dirty pages faster than block I/O can clean them."""

    def __init__(self, node: Node, burst: Burst) -> None:
        self._node = node
        self._burst = burst

    def begin(self, start_ns: int) -> int:
        """Have the node's tasks ask for the pages."""
        self._node.begin_burst(self._burst.pages, self._burst.rate, start_ns)
        return start_ns + burst_asked_ns(self._burst.pages, self._burst.rate)

    def pending(self) -> bool:
        """Whether tasks still wait for pages."""
        try:
            return self._node.status().waiting_pages > 0
        except NodeSilent:
            return True  # not known until there is an agent again

    def undo(self) -> None:
        """The tasks give up."""
        self._node.calm()


class TimedCrunch:
    """Windows without a page for a normal task, which the node holds against the clock."""

    def __init__(self, node: Node, plan: Plan) -> None:
        self._node = node
        self._plan = plan

    def begin(self, start_ns: int) -> int:
        """Hand the windows to the node."""
        windows = [(start_ns + start, start_ns + end) for start, end in self._plan.windows]
        self._node.begin_windows(windows, self._plan.level)
        return windows[-1][1]

    def pending(self) -> bool:
        """A timed crunch is nothing but its windows."""
        return False

    def undo(self) -> None:
        """Windows end by themselves, and with their node."""


class FloodCrunch:
    """Packets for a reader that does not read."""

    def __init__(self, world: World, target: str, flood: Flood) -> None:
        self._world = world
        self._target = target
        self._flood = flood

    def begin(self, start_ns: int) -> int:
        """Start the sender, which waits for its time."""
        self._world.flood(self._target, self._flood, start_ns)
        return start_ns + self._flood.duration_ns

    def pending(self) -> bool:
        """The pressure ends when the reader reads: that is the undo."""
        return False

    def undo(self) -> None:
        """The flood is over, and the reader reads."""
        self._world.nodes[self._target].wake()


class Injection:
    """One crunch while it goes on."""

    def __init__(self, plan: Plan, world: World, recorder: Recorder, clock: Clock) -> None:
        self._plan = plan
        self._node = world.nodes[plan.target]
        self._recorder = recorder
        self._clock = clock
        self._incarnation = self._node.incarnation
        self._earliest_end_ns = 0
        self._crunch = _crunch(plan, world)

    def begin(self) -> None:
        """Hand the plan to the target node.

        Raises:
            RunInvalid: The node is down before anything was done to it.
        """
        plan = self._plan
        if not self._node.up:
            raise RunInvalid(f"{plan.target} is down before the crunch")
        start = self._clock.now_ns() + _LEAD_NS + plan.delay_ns
        self._earliest_end_ns = self._crunch.begin(start)
        self._recorder.record(
            CrunchBegan(
                t=start,
                crunch=plan.kind,
                target=plan.target,
                requested=plan.requested,
                windows=[[start + begin, start + end] for begin, end in plan.windows],
            )
        )

    @property
    def _rebooted(self) -> bool:
        return not self._node.up or self._node.incarnation != self._incarnation

    def over(self) -> bool:
        """Whether the crunch has run its course, or its node was cut off."""
        if self._rebooted:
            return True
        if self._clock.now_ns() < self._earliest_end_ns or self._crunch.pending():
            return False
        if self._plan.flood is not None:
            return True
        try:
            return not self._node.status().pressure
        except NodeSilent:
            return False

    def undo(self) -> None:
        """End what is left of the crunch."""
        if not self._rebooted:
            self._crunch.undo()
        self._recorder.record(CrunchEnded(crunch=self._plan.kind, target=self._plan.target))


def _crunch(plan: Plan, world: World) -> Crunch:
    if plan.burst is not None:
        return WritebackCrunch(world.nodes[plan.target], plan.burst)
    if plan.flood is not None:
        return FloodCrunch(world, plan.target, plan.flood)
    return TimedCrunch(world.nodes[plan.target], plan)
