"""The run itself: its scenario and machine, its phases, its daemons, its recovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from reserve_agent.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class RunInfo(Event):
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

    kind: ClassVar[str] = "run.info"
    run: str = ""
    scenario: str = ""
    seed: int | None = None
    backend: str | None = None
    processors: int | None = None
    versions: Mapping[str, str] | None = None
    clock: Mapping[str, int] | None = None
    format: int = 1
    held: bool = False


@dataclass(frozen=True, kw_only=True)
class PhaseBegan(Event):
    """A phase of the run begins, and the one before it ends.

    Attributes:
        name: Name of the phase: ``start``, ``control``, ``inject``, ``recovery``, ``after``,
            ``collect`` or ``end``.
    """

    kind: ClassVar[str] = "phase"
    name: str


@dataclass(frozen=True, kw_only=True)
class Recovery(Event):
    """Whether the cluster was healthy again after the injection.

    Attributes:
        healthy: Whether the cluster was healthy before the phase was over.
        reason: Why the cluster was not healthy; None: it was.
    """

    kind: ClassVar[str] = "recovery"
    healthy: bool
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class DaemonReady(Event):
    """A daemon has begun its work.

    Attributes:
        name: Name of the daemon: ``heartbeat``, ``initiator``, ``service``, ``traffic`` or
            ``traffic-source``.
    """

    kind: ClassVar[str] = "daemon.ready"
    name: str


@dataclass(frozen=True, kw_only=True)
class PartClosed(Event):
    """The last event of a part of the history, by its keeper: what the part holds before it.

    A part is what one process puts on file: an agent what happens on its node, the controller what
    it does, the run the rest.

    Attributes:
        writers: Number of events that were taken, by writer and its life, as in their ids.
        kinds: Number of events by kind.
        sha256: Digest of the part's lines in the order in which they were written.
    """

    kind: ClassVar[str] = "part.closed"
    writers: Mapping[str, int]
    kinds: Mapping[str, int]
    sha256: str
