"""Block I/O: writes, their connection, the read-back, and the pair of nodes that serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reserve_agent.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class WriteAcknowledged(Event):
    """The target has acknowledged a write.

    Attributes:
        seq: Number of the write in this life of the node.
        incarnation: Number of the node's life, from 0.
        block: First block of 4 KiB that was written.
        blocks: Number of blocks that were written.
        submitted: When the write was submitted first, nanoseconds of CLOCK_MONOTONIC.
        transport: ``nbd`` or ``iscsi``.
    """

    kind: ClassVar[str] = "write.ack"
    seq: int = 0
    incarnation: int = 0
    block: int = 0
    blocks: int = 0
    submitted: int
    transport: str = "nbd"


@dataclass(frozen=True, kw_only=True)
class WriteFailed(Event):
    """A write failed; its pages stay dirty and are written again.

    Attributes:
        seq: Number of the write in this life of the node.
        error: What the transport said.
        transport: ``nbd`` or ``iscsi``.
    """

    kind: ClassVar[str] = "write.error"
    seq: int = 0
    error: str = ""
    transport: str = "nbd"


@dataclass(frozen=True, kw_only=True)
class IoDisconnected(Event):
    """An initiator has lost its connection.

    Attributes:
        error: Why the connection was lost.
        transport: ``nbd`` or ``iscsi``.
    """

    kind: ClassVar[str] = "io.disconnect"
    error: str = ""
    transport: str = "nbd"


@dataclass(frozen=True, kw_only=True)
class IoReconnected(Event):
    """An initiator has a connection again.

    Attributes:
        transport: ``nbd`` or ``iscsi``.
    """

    kind: ClassVar[str] = "io.reconnect"
    transport: str = "nbd"


@dataclass(frozen=True, kw_only=True)
class DirtyProgress(Event):
    """How far the tasks of a writeback crunch have come, in pages of 4 KiB.

    Attributes:
        requested: Pages of the whole burst.
        asked: Pages that tasks have asked for so far.
        dirtied: Pages of these that the tasks got.
    """

    kind: ClassVar[str] = "dirty.progress"
    requested: int
    asked: int
    dirtied: int


@dataclass(frozen=True, kw_only=True)
class WritesVerified(Event):
    """What the read-back of this node's acknowledged blocks found.

    Attributes:
        lost: Number of blocks that were not found, or were damaged.
    """

    kind: ClassVar[str] = "writes.verified"
    lost: int


@dataclass(frozen=True, kw_only=True)
class VerifyResult(Event):
    """What the read-back of every acknowledged block found.

    Attributes:
        checked: Number of blocks that were read.
        ok: Number of blocks that hold the content that was acknowledged last.
        lost: Number of blocks that hold older content, or none.
        corrupt: Number of blocks that hold content that was never written.
    """

    kind: ClassVar[str] = "verify.result"
    checked: int = 0
    ok: int = 0
    lost: int
    corrupt: int


@dataclass(frozen=True, kw_only=True)
class ServiceStarted(Event):
    """A node of the pair serves the block device now.

    Attributes:
        target: Name of the node.
        transport: ``nbd`` or ``iscsi``.
        address: The address that moves with the service.
        taken_from: The node that served before and was fenced; None: no node.
    """

    kind: ClassVar[str] = "service.start"
    target: str = ""
    transport: str = "nbd"
    address: str = ""
    taken_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceStopped(Event):
    """A node of the pair does not serve any more.

    Attributes:
        target: Name of the node.
        reason: Why the node stopped.
    """

    kind: ClassVar[str] = "service.stop"
    target: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceConfirming(Event):
    """A node of the pair asks whether the other one is fenced, before it serves.

    Attributes:
        target: The node that has to be fenced.
        view: Number of the view that removed the node.
    """

    kind: ClassVar[str] = "service.confirm"
    target: str
    view: int
