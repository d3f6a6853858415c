"""The run itself: its scenario and machine, its phases, its daemons, its recovery."""

from __future__ import annotations

from collections.abc import Mapping

from reserve_agent.contract.events.base import Event


class RunInfo(Event, kind="run.info"):
    """The scenario that was run, and the machine it ran on.

    Attributes:
        run: The run's id.
        scenario: Name of the scenario.
        seed: The seed; None: not known.
        backend: Kind of switch in use.
        processors: Processors of the machine.
        versions: Versions of programs, packages and the kernel, by name.
        clock: The same moment by two clocks: ``monotonic_ns`` and ``unix_ns``.
        format: 2 where every event has an ``id`` and every part ends with ``part.closed``.
        held: Whether the cluster was held open for commands, so that no phase had a set length.
    """

    run: str = ""
    scenario: str = ""
    seed: int | None = None
    backend: str | None = None
    processors: int | None = None
    versions: Mapping[str, str] | None = None
    clock: Mapping[str, int] | None = None
    format: int = 1
    held: bool = False


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
