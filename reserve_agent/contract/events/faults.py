"""What the run does to the cluster: crunches and faults, and the power of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from reserve_agent.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class CrunchBegan(Event):
    """The crunch of a run begins.

    Attributes:
        crunch: Its kind: ``writeback``, ``timed`` or ``flood``.
        target: The node that it is on.
        requested: What was asked for, as in ``crunch_requested`` of the result.
        windows: Begin and end of every window of a timed crunch, nanoseconds of CLOCK_MONOTONIC.
    """

    kind: ClassVar[str] = "crunch.begin"
    crunch: str
    target: str
    requested: Mapping[str, Any]
    windows: Sequence[Sequence[int]] = ()


@dataclass(frozen=True, kw_only=True)
class CrunchEnded(Event):
    """The crunch of a run has ended.

    Attributes:
        crunch: Its kind.
        target: The node that it was on.
    """

    kind: ClassVar[str] = "crunch.end"
    crunch: str
    target: str


@dataclass(frozen=True, kw_only=True)
class BurstBegan(Event):
    """The tasks of another node want pages too (fault ``burst``).

    Attributes:
        target: Which node.
        pages: How many pages of 4 KiB.
    """

    kind: ClassVar[str] = "burst.begin"
    target: str
    pages: int


@dataclass(frozen=True, kw_only=True)
class FaultBegan(Event):
    """A fault begins. Fields that do not belong to its kind are None.

    Attributes:
        fault: Its kind, such as ``link-down``.
        target: Whom it hits; several with commas between them.
        targets: The same as a list.
        number: Which of the run's faults, from 0.
        impossible: Why there was nothing to hit.
        network: ``link-down``: the network whose link is down; None: all.
        daemons: ``stall``: daemons that stand still.
        share: ``loss``: share of the packets that is lost, 0 to 1.
        from_: ``loss``: whose packets are lost, None: all; ``burst``: whose work is taken over.
        pages: ``burst``: pages wanted; ``resize-reserve``: pages of the reserve from now on.
        was: ``resize-reserve``: pages of the reserve before.
        delay_ns: ``delay``: by how much packets are held back.
        wdelay_ns: ``slow-disk``: by how much every write takes longer.
        forgotten: ``arp-expiry``: neighbours that were forgotten.
        cut: ``switch-crash``: nodes that have no heartbeat ring left.
        lost: ``switch-crash``: networks that each node has lost.
    """

    kind: ClassVar[str] = "fault.begin"
    fault: str
    target: str = ""
    targets: Sequence[str] = ()
    number: int | None = None
    impossible: str | None = None
    network: str | None = None
    daemons: Sequence[str] | None = None
    share: float | None = None
    from_: str | None = None
    pages: int | None = None
    was: int | None = None
    delay_ns: int | None = None
    wdelay_ns: int | None = None
    forgotten: int | None = None
    cut: Sequence[str] | None = None
    lost: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class FaultEnded(Event):
    """A fault was undone.

    Attributes:
        fault: Its kind.
        target: Whom it hit; several with commas between them.
        targets: The same as a list.
        number: Which of the run's faults, from 0.
    """

    kind: ClassVar[str] = "fault.end"
    fault: str
    target: str = ""
    targets: Sequence[str] = ()
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class PortDown(Event):
    """A fault takes switch ports of a host down.

    Attributes:
        target: The host.
        network: Only the port to this network; None: all of them.
        switch: The switch that lost its power, where one did.
    """

    kind: ClassVar[str] = "port.down"
    target: str = ""
    network: str | None = None
    switch: str | None = None


@dataclass(frozen=True, kw_only=True)
class PortUp(Event):
    """Packets pass these switch ports again.

    Attributes:
        target: The host.
        network: Only the port to this network; None: all of them.
        switch: The switch that had lost its power, where one had.
    """

    kind: ClassVar[str] = "port.up"
    target: str = ""
    network: str | None = None
    switch: str | None = None


@dataclass(frozen=True, kw_only=True)
class NodeUp(Event):
    """A node was powered on.

    Attributes:
        target: Which.
        incarnation: Number of its life, from 0.
    """

    kind: ClassVar[str] = "node.up"
    target: str = ""
    incarnation: int = 0


@dataclass(frozen=True, kw_only=True)
class NodeDown(Event):
    """A node has no power any more.

    Attributes:
        target: Which.
        reason: ``fence``, ``crash``, ``watchdog`` or ``reserve_exhausted``.
    """

    kind: ClassVar[str] = "node.down"
    target: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeReset(Event):
    """A node's memory is gone with its power, and its daemons with it."""

    kind: ClassVar[str] = "node.reset"
