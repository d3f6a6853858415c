"""Block I/O: writes, their connection, the read-back, and the pair of nodes that serves."""

from __future__ import annotations

from reserve_agent.contract.events.base import Event


class WriteAcknowledged(Event, kind="write.ack"):
    """The target has acknowledged a write.

    Attributes:
        seq: Number of the write in this life of the node.
        incarnation: Number of the node's life, from 0.
        block: First block of 4 KiB that was written.
        blocks: Number of blocks that were written.
        submitted: When the write was submitted first, nanoseconds of CLOCK_MONOTONIC.
        transport: ``nbd``, ``iscsi`` or ``nvme-tcp``.
    """

    seq: int = 0
    incarnation: int = 0
    block: int = 0
    blocks: int = 0
    submitted: int
    transport: str = "nbd"


class WriteFailed(Event, kind="write.error"):
    """A write failed; its pages stay dirty and are written again.

    Attributes:
        seq: Number of the write in this life of the node.
        error: What the transport said.
        transport: ``nbd``, ``iscsi`` or ``nvme-tcp``.
    """

    seq: int = 0
    error: str = ""
    transport: str = "nbd"


class IoDisconnected(Event, kind="io.disconnect"):
    """An initiator has lost its connection.

    Attributes:
        error: Why the connection was lost.
        transport: ``nbd``, ``iscsi`` or ``nvme-tcp``.
    """

    error: str = ""
    transport: str = "nbd"


class IoReconnected(Event, kind="io.reconnect"):
    """An initiator has a connection again.

    Attributes:
        transport: ``nbd``, ``iscsi`` or ``nvme-tcp``.
    """

    transport: str = "nbd"


class WriteWaits(Event, kind="write.waits"):
    """A write of pages that a task keeps still waits for its answer; told every 0.1 s.

    Attributes:
        submitted: When the oldest of them was submitted, nanoseconds of CLOCK_MONOTONIC.
    """

    submitted: int


class DirtyProgress(Event, kind="dirty.progress"):
    """How far the tasks of a writeback crunch have come, in pages of 4 KiB.

    Attributes:
        requested: Pages of the whole burst.
        asked: Pages that tasks have asked for so far.
        dirtied: Pages of these that the tasks got; what they gave up in the end is not among them.
    """

    requested: int
    asked: int
    dirtied: int


class WritesVerified(Event, kind="writes.verified"):
    """What the read-back of this node's acknowledged blocks found.

    Attributes:
        lost: Number of blocks that were not found, or were damaged.
    """

    lost: int


class VerifyResult(Event, kind="verify.result"):
    """What the read-back of every acknowledged block found.

    Attributes:
        checked: Number of blocks that were read.
        ok: Number of blocks that hold the content that was acknowledged last.
        lost: Number of blocks that hold older content, or none.
        corrupt: Number of blocks that hold content that was never written.
    """

    checked: int = 0
    ok: int = 0
    lost: int
    corrupt: int


class ServiceStarted(Event, kind="service.start"):
    """A node of the pair serves the block device now.

    Attributes:
        target: Name of the node.
        transport: ``nbd``, ``iscsi`` or ``nvme-tcp``.
        address: The address that moves with the service.
        taken_from: The node that served before and was fenced; None: no node.
    """

    target: str = ""
    transport: str = "nbd"
    address: str = ""
    taken_from: str | None = None


class ServiceStopped(Event, kind="service.stop"):
    """A node of the pair does not serve any more.

    Attributes:
        target: Name of the node.
        reason: Why the node stopped.
    """

    target: str = ""
    reason: str = ""


class ServiceConfirming(Event, kind="service.confirm"):
    """A node of the pair asks whether the other one is fenced, before it serves.

    Attributes:
        target: The node that has to be fenced.
        view: Number of the view from which on both were members: no earlier fence counts.
    """

    target: str
    view: int
