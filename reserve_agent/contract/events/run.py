"""The run itself: its scenario and machine, its phases, its daemons, its recovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reserve_agent.contract.events.base import Event

_HAS_SWITCH: Final = 3
"""The first format with ``switch``."""


class RunInfo(Event, kind="run.info"):
    """The scenario that was run, and the machine it ran on.

    Attributes:
        run: The run's id.
        scenario: Name of the scenario.
        seed: The seed; None: not known.
        backend: What the nodes are made of: ``namespaces`` or ``machines``. Before format 3: the
            kind of switch in use.
        switch: The kind of switch in use; None before format 3.
        processors: Processors of the machine.
        versions: Versions of programs, packages and the kernel, by name.
        clock: The same moment by two clocks: ``monotonic_ns`` and ``unix_ns``.
        format: From 2 on every event has an ``id``, and every part ends with ``part.closed``; from
            3 on ``backend`` and ``switch`` are two things.
        held: Whether the cluster was held open for commands, so that no phase had a set length.
    """

    run: str = ""
    scenario: str = ""
    seed: int | None = None
    backend: str | None = None
    switch: str | None = None
    processors: int | None = None
    versions: Mapping[str, str] | None = None
    clock: Mapping[str, int] | None = None
    format: int = 1
    held: bool = False

    @property
    def kind_of_switch(self) -> str | None:
        """The kind of switch in use, whatever the format; None: not known."""
        return self.switch if self.format >= _HAS_SWITCH else self.backend


class PhaseBegan(Event, kind="phase"):
    """A phase of the run begins, and the one before it ends.

    Attributes:
        name: Name of the phase: ``start``, ``control``, ``inject``, ``recovery``, ``after``,
            ``collect`` or ``end``.
    """

    name: str


class Recovery(Event, kind="recovery"):
    """Whether the cluster was healthy again after the injection.

    Attributes:
        healthy: Whether the cluster was healthy before the phase was over.
        reason: Why the cluster was not healthy; None: it was.
    """

    healthy: bool
    reason: str | None = None


class DaemonReady(Event, kind="daemon.ready"):
    """A daemon has begun its work.

    Attributes:
        name: Name of the daemon: ``heartbeat``, ``initiator``, ``service``, ``traffic`` or
            ``traffic-source``.
    """

    name: str


class PartLate(Event, kind="part.late"):
    """A part of the testbed stood still, as the run saw it from outside; ``t`` is the end of that.

    The run looks at its processes every 50 ms, with 32 nodes every 100 ms. The length is what is
    certain: the part may have stood still up to two looks longer.

    Attributes:
        part: What stood still: a daemon of the node, ``agent``, ``machine`` (the QEMU of a node
            that is one), its ``attendant``, ``target`` of the storage host, ``controller``, or
            ``run``, which cuts nodes off, injects faults and looks at the rest.
        program: The program, where it is not the part itself but was started by it; None: itself.
        since: Since when at least, nanoseconds of CLOCK_MONOTONIC.
        late_ns: How long at least, nanoseconds.
        why: ``stopped`` by a signal or a debugger; ``no_processor``: it was ready to run, and
            others ran; ``woke_late``, which only the run notices of itself.
    """

    part: str
    program: str | None = None
    since: int
    late_ns: int
    why: str


class EventsLost(Event, kind="events.lost"):
    """Events of a daemon did not reach the history.

    Attributes:
        count: Number of lost events, at least.
    """

    count: int


class PartClosed(Event, kind="part.closed"):
    """The last event of a part of the history, by its keeper: what the part holds before it.

    A part is what one process puts on file: an agent what happens on its node, the controller what
    it does, the run the rest.

    Attributes:
        writers: Number of events that were taken, by writer and its life, as in their ids.
        kinds: Number of events by kind.
        sha256: Digest of the part's lines in the order in which they were written.
    """

    writers: Mapping[str, int]
    kinds: Mapping[str, int]
    sha256: str
