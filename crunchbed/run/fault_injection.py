"""Begins and undoes the faults of a run when they are due."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from crunchbed.checks import faults
from crunchbed.checks.faults import FaultSpan
from crunchbed.faults.action import FaultContext, NotPossible
from crunchbed.faults.base import FaultSection
from crunchbed.history.history import Interval
from crunchbed.run.fault_plan import Step, steps
from reserve_agent.contract.events.faults import FaultBegan, FaultEnded

_NO_END = 2**63 - 1


class FaultInjection:
    """Context manager over the faults of one run; its exit undoes the faults that are still on.

    Args:
        planned: The faults, drawn.
        context: What they act on.
        first: The number of the first fault. The numbers of a history tell faults apart that
            begin alike.
    """

    def __init__(
        self, planned: Sequence[FaultSection], context: FaultContext, first: int = 0
    ) -> None:
        self._actions = [fault.action(context) for fault in planned]
        self._recorder = context.recorder
        self._clock = context.loop
        self._holds = context.holds
        # What their events say before they begin: kind, targets and number.
        self._named = [
            FaultBegan(
                fault=one.kind, target=",".join(one.targets), targets=one.targets, number=number
            )
            for number, one in enumerate(planned, first)
        ]
        self._steps = steps(planned)
        self._on: dict[int, int] = {}
        self._began: dict[int, FaultBegan] = {}

    def __enter__(self) -> FaultInjection:
        self._start_ns = self._clock.now_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self._steps.clear()
        with contextlib.ExitStack() as undo:
            for number in sorted(self._on):
                undo.callback(self._undo, number)

    def over(self) -> bool:
        """Do what is due; returns whether every step is done and no fault has an effect left."""
        while self._steps and self._start_ns + self._steps[0].at_ns <= self._clock.now_ns():
            step = self._steps.pop(0)
            if step.begins:
                self._begin(step.fault)
                self._keep_length(step)
            elif step.fault in self._on:
                self._undo(step.fault)
        lingers = any(self._actions[number].lingers() for number in self._on)
        return self.settled() and not self._steps and not lingers

    def settled(self) -> bool:
        """Return whether the faults that were undone have no effect left.

        Every fault is asked, since a fault records the end of its effect when it is asked.
        """
        settling = [action.settling() for action in self._actions]
        return not any(settling)

    def cut_off_since(self, target: str, by: str) -> int | None:
        """Return since when the faults keep ``by`` from hearing ``target``; None: they do not."""
        return faults.cut_off_since(self.on, target, by)

    @property
    def on(self) -> list[FaultSpan]:
        """The faults that are on; their spans have no end yet."""
        return [FaultSpan(began, Interval(began.t, _NO_END)) for began in self._began.values()]

    def _begin(self, number: int) -> None:
        self._on[number] = now = self._clock.now_ns()
        named = replace(self._named[number], t=now)
        try:
            began = self._actions[number].begin(named)
        except NotPossible as error:
            began = replace(named, impossible=str(error))
        self._began[number] = began
        self._recorder.record(began)

    def _keep_length(self, begin: Step) -> None:
        """Put the undo of a fault off by as much as its begin came late.

        A fault begins late where the begin of another one took its time.
        """
        late = max(0, self._on[begin.fault] - self._start_ns - begin.at_ns)
        self._steps = sorted(
            step._replace(at_ns=step.at_ns + late) if step.fault == begin.fault else step
            for step in self._steps
        )

    def _undo(self, number: int) -> None:
        # The fault counts as on until the undo is done: an undo may take its time, in which the
        # cluster goes on.
        action = self._actions[number]
        still_held = self._holds.shared(action)
        action.undo()
        self._on.pop(number, None)
        self._began.pop(number, None)
        named = self._named[number]
        self._recorder.record(
            FaultEnded(
                fault=named.fault,
                target=named.target,
                targets=named.targets,
                number=named.number,
                still_held=still_held or None,
            )
        )
