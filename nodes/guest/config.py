"""The configuration of a node's attendant: one JSON file. Times in nanoseconds, pages of 4 KiB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nodes.block.config import IscsiConfig
from nodes.corosync.config import CorosyncSettings
from nodes.guest.layout import MAX_TARGETS, WRITERS
from nodes.heartbeat.config import NetworkPeer
from nodes.membership.settings import HeartbeatSettings
from reserve_agent.contract.packets import HOLD_MILLI, MEMALLOC_CLASSES
from reserve_agent.errors import BadInput

POLICIES: Final = ("none", "memalloc")
"""The policies that a stock kernel can follow: no socket is flagged, or those of some classes."""
_MAX_REQUEST_BLOCKS: Final = 16
_MAX_EXPORT: Final = 31


@dataclass(frozen=True, kw_only=True)
class GuestHeartbeat(HeartbeatSettings):
    """Heartbeats and membership of a node that is a machine; on one network.

    ``incarnation`` and ``joining`` are set by operation ``boot``. In the file ``detector`` is what
    ``detectors.settings.to_record`` returns.

    Attributes:
        peers: The other configured nodes by name. Only the first address of each is used.
        port: UDP port of all nodes, as on the guest's command line (``crunchbed.port``).
    """

    peers: Mapping[str, NetworkPeer]
    port: int

    def __post_init__(self) -> None:
        """Refuse what is impossible.

        Raises:
            BadInput: An impossible setting.
        """
        super().__post_init__()
        if len(self.peers) > MAX_TARGETS:
            raise BadInput(f"at most {MAX_TARGETS} peers, got {len(self.peers)}")


@dataclass(frozen=True, kw_only=True)
class GuestDisk:
    """The block device of a node, and what the node writes there all the time.

    Attributes:
        address: IPv4 address of the target.
        port: Its TCP port.
        first_block: First block of 4 KiB that this node writes.
        region_blocks: Blocks of the node's region. Where the node swaps too (see ``GuestBurst``)
            and shares the device with others, no region may begin within the pages that are
            swapped to, which are the first of the device.
        request_blocks: Blocks of one write, at most 16.
        writers: Writes that are under way at most, 1 to 4.
        pause: Time of one writer between two writes.
        iscsi: The session, where the device is reached by iSCSI.
        nvme: Whether it is reached by NVMe/TCP; with neither, by NBD, as follows.
        export: Name of the NBD export, at most 31 characters.
        send_buffer: SO_SNDBUF of the connection in bytes; 0: the kernel's own. It bounds what a
            flagged socket can take from the reserve.
        connect_timeout: How long making the connection may take.
        timeout: How long the kernel waits for the answer to a request, whole seconds' worth; 0:
            for ever.
    """

    address: str
    port: int
    first_block: int
    region_blocks: int
    request_blocks: int = 4
    writers: int = 4
    pause: int = 20_000_000
    iscsi: IscsiConfig | None = None
    nvme: bool = False
    export: str = ""
    send_buffer: int = 65_536
    connect_timeout: int = 5_000_000_000
    timeout: int = 0

    def __post_init__(self) -> None:
        """Refuse what the guest's agent refuses.

        Raises:
            BadInput: An impossible setting.
        """
        if not 1 <= self.writers <= WRITERS:
            raise BadInput(f"writers: expected 1 to {WRITERS}, got {self.writers}")
        if not 1 <= self.request_blocks <= _MAX_REQUEST_BLOCKS:
            raise BadInput(f"request_blocks: expected 1 to 16, got {self.request_blocks}")
        if self.region_blocks < self.writers * self.request_blocks:
            raise BadInput(f"a region of {self.region_blocks} blocks has no room for every writer")
        if len(self.export.encode()) > _MAX_EXPORT:
            raise BadInput(f"export: expected at most {_MAX_EXPORT} bytes, got {self.export}")

    @property
    def transport(self) -> str:
        """``nbd``, ``iscsi`` or ``nvme-tcp``."""
        if self.iscsi is not None:
            return "iscsi"
        return "nvme-tcp" if self.nvme else "nbd"


@dataclass(frozen=True, kw_only=True)
class GuestBurst:
    """How a writeback crunch is made of a kernel's own pages (operation ``burst``).

    A normal task dirties ``dirty_pages`` pages; then the module takes every page that the kernel
    frees by writing them to the block device, until it has as many as the burst wants.

    Attributes:
        buffered: Whether the task writes to the block device by the page cache; else its pages are
            anonymous, and the kernel swaps them out.
        swap_pages: Pages of the area for that, from the device's first byte on.
        dirty_pages: Pages that the task dirties and keeps.
        level_milli: Thousandths of min that the module leaves free meanwhile.
        refill: How often the module takes what was freed.
        longest: How long the burst may last; a kernel that stands still for good never ends it.
    """

    buffered: bool = False
    swap_pages: int = 16_384
    dirty_pages: int = 5_000
    level_milli: int = HOLD_MILLI
    refill: int = 1_000_000
    longest: int = 10_000_000_000


@dataclass(frozen=True, kw_only=True)
class GuestWindows:
    """How the windows of a timed crunch are held (operation ``windows``).

    Attributes:
        lead: How long before its begin the module starts to take pages for the first window; later
            windows start by what the one before has needed.
        refill: How often freed pages are taken again.
        drain: Whether what lies ready in slabs and page fragments is taken too.
    """

    lead: int = 5_000_000
    refill: int = 1_000_000
    drain: bool = False


@dataclass(frozen=True, kw_only=True)
class LostTap:
    """The tap that the packets come to that a fault loses on their way to the guest.

    Attributes:
        netns_pid: A process in its network namespace.
        name: Its name.
    """

    netns_pid: int
    name: str


@dataclass(frozen=True, kw_only=True)
class AttendantConfig:
    """One node's attendant, ``python -m nodes.guest CONFIG.json``, in the root network namespace.

    Attributes:
        node: Logical name, such as ``n1``.
        run: Run id, for the info metric.
        scenario: Scenario name, for the info metric.
        memory: File that guest and host share (``mem-path`` of QEMU's ``memory-backend-file`` with
            ``share=on,size=1M``). The attendant makes it; operation ``boot`` clears it.
        socket: Unix socket to make, for the run's operations (``nodes/guest/operations.py``).
        history: File of JSON lines that the attendant writes.
        fence: The fence service's Unix socket.
        heartbeat: Heartbeats and membership.
        corosync: What the guest's corosync is told, which replaces heartbeats and membership; None:
            the guest has none.
        disk: The block device; None: the node writes nothing, and has no ``initiator``.
        policy: ``none`` or ``memalloc``.
        memalloc: Classes whose sockets are flagged under ``memalloc``: ``block-io``, ``heartbeat``.
        computed: Pages that the reserve must have for these sockets, for ``pool.config``.
        neighbours: MAC address (``02:00:00:00:00:01``) by IPv4 address of each neighbour that the
            guest gets as a permanent one at its boot.
        ballast_above: Pages that are left above the high watermark from the boot on, so that the
            way down to a level is short; None: no ballast.
        windows: How windows are held.
        burst: How bursts are made.
        lost: Where lost packets come; None: nobody loses any.
        poll: Time between two looks at the shared memory; a tenth of the interval at most.
    """

    node: str
    run: str
    scenario: str
    memory: Path
    socket: Path
    history: Path
    fence: Path
    heartbeat: GuestHeartbeat
    corosync: CorosyncSettings | None = None
    disk: GuestDisk | None = None
    policy: str = "none"
    memalloc: tuple[str, ...] = ()
    computed: int = 0
    neighbours: Mapping[str, str] = field(default_factory=dict)
    ballast_above: int | None = None
    windows: GuestWindows = field(default_factory=GuestWindows)
    burst: GuestBurst = field(default_factory=GuestBurst)
    lost: LostTap | None = None
    poll: int = 2_000_000

    def __post_init__(self) -> None:
        """Refuse what is impossible.

        Raises:
            BadInput: An impossible setting.
        """
        known_policy(self.policy)
        if unknown := set(self.memalloc) - set(MEMALLOC_CLASSES):
            raise BadInput(f"memalloc: unknown class {', '.join(sorted(unknown))}")
        if not 0 < self.poll <= self.heartbeat.interval_ns // 10:
            raise BadInput(f"poll: expected up to a tenth of the interval, got {self.poll}")


def known_policy(policy: str) -> str:
    """Return a policy that a stock kernel can follow.

    Raises:
        BadInput: It cannot follow this one.
    """
    if policy not in POLICIES:
        raise BadInput(f"policy: a stock kernel has {' and '.join(POLICIES)}, not {policy!r}")
    return policy
