"""Carrying out a crunch on a running cluster, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence

from crunchbed.history.recorder import Recorder
from crunchbed.run.plan import Plan
from crunchbed.run.world import Clock, NodeSilent, World, burst_asked_ns
from reserve_agent.contract.events.faults import CrunchBegan, CrunchEnded
from reserve_agent.errors import RunInvalid

_LEAD_NS = 300_000_000
"""Between telling a node and the crunch, so that it starts on time; a process starts in it."""


class Injection:
    """One crunch while it goes on.

    A ``writeback`` crunch is over when no task waits for a page and the pressure is gone; a
    ``timed`` one when its windows and the pressure are; a ``flood`` when its packets were sent,
    for the pressure lasts until the reader reads.
    """

    def __init__(self, plan: Plan, world: World, recorder: Recorder, clock: Clock) -> None:
        self._plan = plan
        self._world = world
        self._node = world.nodes[plan.target]
        self._recorder = recorder
        self._clock = clock
        self._incarnation = self._node.incarnation
        self._earliest_end_ns = 0

    def begin(self) -> None:
        """Arrange the crunch.

        Raises:
            RunInvalid: The node is down before anything was done to it.
        """
        plan = self._plan
        if not self._node.up:
            raise RunInvalid(f"{plan.target} is down before the crunch")
        start = self._clock.now_ns() + _LEAD_NS + plan.delay_ns
        windows = [(start + begin, start + end, level) for begin, end, level in plan.windows]
        if plan.burst is not None:
            self._node.begin_burst(plan.burst.pages, plan.burst.rate, start)
            self._earliest_end_ns = start + burst_asked_ns(plan.burst.pages, plan.burst.rate)
        elif plan.flood is not None:
            self._world.flood(plan.target, plan.flood, start)
            self._earliest_end_ns = start + plan.flood.duration_ns
        else:
            self._node.begin_windows(windows)
            self._earliest_end_ns = windows[-1][1]
        self._recorder.record(
            CrunchBegan(
                t=start,
                crunch=plan.kind,
                target=plan.target,
                requested=plan.requested,
                windows=[[begin, end] for begin, end, _ in windows],
            )
        )

    @property
    def _rebooted(self) -> bool:
        return not self._node.up or self._node.incarnation != self._incarnation

    def over(self) -> bool:
        """Whether the crunch has run its course, or its node was cut off."""
        if self._rebooted:
            return True
        if self._clock.now_ns() < self._earliest_end_ns:
            return False
        if self._plan.flood is not None:
            return True
        try:
            status = self._node.status()
        except NodeSilent:
            return False  # nobody knows until there is an agent again
        waiting = self._plan.burst is not None and status.waiting_pages > 0
        return not waiting and not status.pressure

    def undo(self) -> None:
        """Have tasks that still wait give up, and readers read; windows end by themselves."""
        if not self._rebooted:
            if self._plan.burst is not None:
                self._node.calm()
            elif self._plan.flood is not None:
                self._node.wake()
        self._recorder.record(CrunchEnded(crunch=self._plan.kind, target=self._plan.target))


class Injections:
    """The crunches of a run: the first begins at once, each other one when it is due.

    A node that is down by then has none.
    """

    def __init__(
        self, plans: Sequence[Plan], world: World, recorder: Recorder, clock: Clock
    ) -> None:
        self._waiting = list(plans)
        self._world = world
        self._recorder = recorder
        self._clock = clock
        self._begun: list[Injection] = []
        self._began_ns = 0

    def begin(self) -> None:
        """Arrange what is due at once.

        Raises:
            RunInvalid: The node of the first crunch is down before anything was done to it.
        """
        self._began_ns = self._clock.now_ns()
        if self._waiting:
            self._begin(self._waiting.pop(0))
        self._begin_due()

    def _begin_due(self) -> None:
        since_ns = self._clock.now_ns() - self._began_ns
        while self._waiting and self._waiting[0].apart_ns <= since_ns:
            plan = self._waiting.pop(0)
            if self._world.nodes[plan.target].up:
                self._begin(plan)

    def _begin(self, plan: Plan) -> None:
        crunch = Injection(plan, self._world, self._recorder, self._clock)
        crunch.begin()
        self._begun.append(crunch)

    def over(self) -> bool:
        """Whether all have run their course; begins those that have become due."""
        self._begin_due()
        return not self._waiting and all(crunch.over() for crunch in self._begun)

    def undo(self) -> None:
        """Undo those that were begun."""
        for crunch in self._begun:
            crunch.undo()
