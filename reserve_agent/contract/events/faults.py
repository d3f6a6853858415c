"""What the run does to the cluster: crunches and faults, and the power of its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reserve_agent.contract.events.base import Event


class CrunchBegan(Event, kind="crunch.begin"):
    """The crunch of a run begins.

    Attributes:
        crunch: Kind of the crunch: ``writeback``, ``timed`` or ``flood``.
        target: The node that comes under pressure.
        requested: What was asked for, as in ``crunch_requested`` of the result.
        windows: Begin and end of every window of a timed crunch, nanoseconds of CLOCK_MONOTONIC.
    """

    crunch: str
    target: str
    requested: Mapping[str, Any]
    windows: Sequence[Sequence[int]] = ()


class CrunchEnded(Event, kind="crunch.end"):
    """The crunch of a run has ended.

    Attributes:
        crunch: Kind of the crunch.
        target: The node that came under pressure.
    """

    crunch: str
    target: str


class BurstBegan(Event, kind="burst.begin"):
    """The tasks of another node want pages too (fault ``burst``).

    Attributes:
        target: Name of that node.
        pages: Pages of 4 KiB that its tasks want.
    """

    target: str
    pages: int


class FaultBegan(Event, kind="fault.begin"):
    """A fault begins. Fields that belong to faults of another kind are None.

    Attributes:
        fault: Kind of the fault, such as ``link-down``.
        target: Node or host that the fault hits; several with commas between them.
        targets: The same as a list.
        number: Number of the fault in the run, from 0.
        impossible: Why the fault had nothing to hit; None: it had.
        network: ``link-down``: the network whose link is down; None: all.
        daemons: ``stall``: daemons that stand still; None: the heartbeat daemon.
        direction: ``loss``, ``delay``: ``in``: packets to the target; ``out``: packets from it;
            ``both``; None: ``in``.
        share: ``loss``: share of the packets that is lost, 0 to 1.
        from_: ``loss``: node whose packets are lost, None: all nodes; ``burst``: node whose work
            the target takes over.
        pages: ``burst``: pages wanted; ``resize-reserve``: pages of the reserve from now on.
        was: ``resize-reserve``: pages of the reserve before.
        delay_ns: ``delay``: by how much packets are held back.
        wdelay_ns: ``slow-disk``: by how much every write takes longer.
        forgotten: ``arp-expiry``: neighbours that were forgotten.
        cut: ``switch-crash``: nodes that have no heartbeat ring left.
        lost: ``switch-crash``: networks that each node has lost.
        fails: ``fence-failure``: fence requests that fail.
        takes_ns: ``fence-failure``: by how much each fence is carried out later.
    """

    fault: str
    target: str = ""
    targets: Sequence[str] = ()
    number: int | None = None
    impossible: str | None = None
    network: str | None = None
    daemons: Sequence[str] | None = None
    direction: str | None = None
    share: float | None = None
    from_: str | None = None
    pages: int | None = None
    was: int | None = None
    delay_ns: int | None = None
    wdelay_ns: int | None = None
    forgotten: int | None = None
    cut: Sequence[str] | None = None
    lost: Mapping[str, Sequence[str]] | None = None
    fails: int | None = None
    takes_ns: int | None = None


class FaultEnded(Event, kind="fault.end"):
    """A fault was undone, as far as no other fault holds the same thing.

    Attributes:
        fault: Kind of the fault.
        target: Node or host that the fault hit; several with commas between them.
        targets: The same as a list.
        number: Number of the fault in the run, from 0.
        still_held: What did not end with the fault, since other faults hold it; None: nothing.
    """

    fault: str
    target: str = ""
    targets: Sequence[str] = ()
    number: int | None = None
    still_held: Sequence[str] | None = None


class PortDown(Event, kind="port.down"):
    """A fault takes switch ports of a host down.

    Attributes:
        target: The host.
        network: Network of the one port; None: all ports of the host.
        switch: The switch that lost its power; None: the ports alone went down.
        number: Number of the fault in the run.
    """

    target: str = ""
    network: str | None = None
    switch: str | None = None
    number: int | None = None


class PortUp(Event, kind="port.up"):
    """Packets pass these switch ports again.

    Attributes:
        target: The host.
        network: Network of the one port; None: all ports of the host.
        switch: The switch that has power again; None: the ports alone were down.
        number: Number of the fault in the run.
    """

    target: str = ""
    network: str | None = None
    switch: str | None = None
    number: int | None = None


class NodeUp(Event, kind="node.up"):
    """A node was powered on.

    Attributes:
        target: Name of the node.
        incarnation: Number of the node's life, from 0.
    """

    target: str = ""
    incarnation: int = 0


class NodeDown(Event, kind="node.down"):
    """A node has no power any more.

    Attributes:
        target: Name of the node.
        reason: Why: ``fence``, ``crash``, ``watchdog`` or ``reserve_exhausted``.
    """

    target: str = ""
    reason: str = ""


class NodeReset(Event, kind="node.reset"):
    """A node without power has lost its memory, and its daemons have ended."""
