"""Begins and undoes the faults of a run as their time comes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, cast

from crunchbed.checks import faults
from crunchbed.checks.faults import FaultSpan
from crunchbed.history.history import Interval
from crunchbed.history.recorder import Recorder
from crunchbed.run.faults.kinds import make
from crunchbed.run.faults.plan import Step, order, steps
from crunchbed.run.faults.protocol import Fault, Lingering, NotPossible, Settling, World
from crunchbed.scenario.faults import FaultSection
from reserve_agent.contract.events import FaultBegan, from_record

Clock = Callable[[], int]
_NO_END = 2**63 - 1


class FaultInjection:
    """Context manager over the faults of one run: its end undoes what is still on.

    Args:
        planned: The faults, drawn.
        made: The same, ready to be done.
        recorder: The run's part of the history.
        clock: CLOCK_MONOTONIC, nanoseconds.
        first: The number of the first fault; no two of a history that begin alike have the same.
    """

    def __init__(
        self,
        planned: Sequence[FaultSection],
        made: Sequence[Fault],
        recorder: Recorder,
        clock: Clock,
        first: int = 0,
    ) -> None:
        self._planned = planned
        self._made = made
        self._recorder = recorder
        self._clock = clock
        self._first = first
        self._steps = steps(planned)
        self._on: dict[int, int] = {}
        self._details: dict[int, dict[str, Any]] = {}
        self._start_ns = clock()

    def __enter__(self) -> FaultInjection:
        self._start_ns = self._clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._steps.clear()
        with contextlib.ExitStack() as undo:
            for number in sorted(self._on):
                undo.callback(self._undo, number)

    def over(self) -> bool:
        """Do what is due; returns whether every step is done and has no effect any more."""
        while self._steps and self._start_ns + self._steps[0].at_ns <= self._clock():
            step = self._steps.pop(0)
            if step.what == "begin":
                self._begin(step.fault)
                self._keep_length(step)
            elif step.fault in self._on:
                self._undo(step.fault)
        on = (self._made[number] for number in self._on)
        lingers = any(isinstance(fault, Lingering) and fault.lingers() for fault in on)
        return self.settled() and not self._steps and not lingers

    def settled(self) -> bool:
        """Whether what was undone has no effect any more; all are asked, since asking records."""
        settling = [isinstance(fault, Settling) and fault.settling() for fault in self._made]
        return not any(settling)

    def cut_off_since(self, target: str, by: str) -> int | None:
        """When a fault that is on now began to keep ``target`` from ``by``; None: none does."""
        return faults.cut_off_since(self.on, target, by)

    @property
    def on(self) -> list[FaultSpan]:
        """The faults that are on, with no end yet."""
        found = []
        for number, details in self._details.items():
            fault, span = self._planned[number], Interval(self._on[number], _NO_END)
            record = {"kind": FaultBegan.kind, "t": span.start, "fault": fault.kind, **details}
            began = cast(FaultBegan, from_record(record))
            found.append(FaultSpan(fault.kind, fault.targets, span, began))
        return found

    def _begin(self, number: int) -> None:
        self._on[number] = began = self._clock()
        try:
            details = dict(self._made[number].begin())
        except NotPossible as error:
            details = {"impossible": str(error)}
        self._details[number] = details
        self._recorder.record("fault.begin", t=began, **self._names(number), **details)

    def _keep_length(self, begin: Step) -> None:
        """A fault that began late, since another took its time, ends as much later."""
        late = max(0, self._on[begin.fault] - self._start_ns - begin.at_ns)
        self._steps = sorted(
            (
                step._replace(at_ns=step.at_ns + late) if step.fault == begin.fault else step
                for step in self._steps
            ),
            key=order,
        )

    def _undo(self, number: int) -> None:
        # On until it is undone: an undo may take its time, in which the cluster goes on.
        self._made[number].undo()
        self._on.pop(number, None)
        self._details.pop(number, None)
        self._recorder.record("fault.end", **self._names(number))

    def _names(self, number: int) -> dict[str, Any]:
        fault = self._planned[number]
        targets = list(fault.targets)
        return {
            "fault": fault.kind,
            "target": ",".join(targets),
            "targets": targets,
            "number": self._first + number,
        }


def injection(
    planned: Sequence[FaultSection], world: World, recorder: Recorder, first: int = 0
) -> FaultInjection:
    """Return the injection of these faults, numbered from ``first``, into a running cluster."""
    made = [make(fault, world) for fault in planned]
    return FaultInjection(planned, made, recorder, time.monotonic_ns, first)
