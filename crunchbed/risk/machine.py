"""One machine as it was seen: cards, network storage, daemons, memory, what has happened so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Interface:
    """A network interface that is backed by a card."""

    name: str
    driver: str  # as sysfs names it
    up: bool


@dataclass(frozen=True)
class Storage:
    """A block device, mount or tunnel that sends by a socket of the kernel.

    Attributes:
        user: Its row in ``sockets.SOCKET_USERS``.
        name: ``nbd0``, a session, a mount point.
        seen: The file that shows it, with its value.
        version: Of a module with versions of its own; else empty.
        queue_depth: Requests at once, at most; 0: not known.
        request_bytes: Of the largest request; 0: not known.
        connections: Sockets that it has, as far as can be seen.
    """

    user: str
    name: str
    seen: str
    version: str = ""
    queue_depth: int = 0
    request_bytes: int = 0
    connections: int = 1


@dataclass(frozen=True)
class Swap:
    """A swap area, and the network storage that it is on; None: this machine's own disk."""

    name: str
    storage: str | None
    seen: str


@dataclass(frozen=True)
class Process:
    """A process of a cluster daemon.

    Attributes:
        locked_kib: Memory that is locked; None: not known.
    """

    name: str
    pid: int
    locked_kib: int | None


@dataclass(frozen=True)
class Memory:
    """Watermarks, in pages of 4 KiB; None: could not be read."""

    min_free_kib: int | None = None
    min_pages: int | None = None  # of all zones
    largest_zone: str = ""
    largest_min_pages: int | None = None
    send_buffer_bytes: int | None = None  # of a TCP socket, at most


@dataclass(frozen=True)
class Past:
    """What has happened since the machine booted; None: could not be read.

    Attributes:
        pfmemalloc_drops: Packets from the reserve that were dropped: not for a memalloc socket.
        reclaim_throttled: Tasks that waited in reclaim, half of the min watermarks being gone.
        oom_kills: Processes that were killed for want of memory, in control groups too.
        failed_allocations: Lines of the kernel's log that tell of one; the log forgets old lines.
        last_failure: The last of these lines.
    """

    pfmemalloc_drops: int | None = None
    reclaim_throttled: int | None = None
    oom_kills: int | None = None
    failed_allocations: int | None = None
    last_failure: str = ""


@dataclass(frozen=True)
class Machine:
    """All that was seen of one machine.

    Attributes:
        unread: Why a file could not be read, by its path.
    """

    name: str
    kernel: str
    interfaces: tuple[Interface, ...] = ()
    storages: tuple[Storage, ...] = ()
    swaps: tuple[Swap, ...] = ()
    lock_users: tuple[Storage, ...] = ()  # of ``dlm`` and ``o2net``
    processes: tuple[Process, ...] = ()
    memory: Memory = Memory()
    past: Past = Past()
    unread: Mapping[str, str] = field(default_factory=dict)
