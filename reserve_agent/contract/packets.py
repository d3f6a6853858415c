"""What everybody says of packets: policies, classes, verdicts and their reasons, and pages.

Nothing here reads, writes or needs the kernel. The numbers of the enumerations are those that the
eBPF programs use: ``make hooks`` writes the C header from this file (``hooks/header.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

PAGE_BYTES: Final = 4096
"""Bytes of a page, and of a block on the device."""

MAX_RULES: Final = 8
"""Port rules that a node's hooks hold."""
MAX_LOSSES: Final = 64
"""Rules of what the wire loses that a node's hooks hold."""
MAX_WINDOWS: Final = 4096
"""Windows of a timed crunch that a node's hooks hold."""
WINDOWS_PER_STEP: Final = 8
"""Windows of a timed crunch that one operation of the pool may pass over."""

HOLD_MILLI: Final = 300
"""Thousandths of R that are left free while a kernel swaps for a crunch by writeback."""

WHEEL_SLOTS: Final = 16
"""Slots of the wheel that says when a running reader has read a buffer; a power of two."""
WHEEL_LIFE: Final = 9
"""Ticks of that wheel for which a buffer stays: its own, then eight whole ones."""

SOFTNET_LIMIT: Final = 300
"""Packets that the queue of the policy ``softnet`` holds: netdev_max_backlog of Linux 2.6.12."""
SOFTNET_COST_NS: Final = 50_000
"""Nanoseconds that this queue needs for a packet."""
MEMPOOL_PAGES: Final = 64
"""Pages in a memalloc socket's own pool under the policy ``mempool``."""

SOCK_MEMALLOC: Final = 1
"""Flag of a socket that may draw on the reserve; its user, or a port rule, says so."""
SOCK_WRITEBACK: Final = 2
"""Flag of a socket that the PF_MEMALLOC writeback task writes to, whatever the policy."""
SOCK_STALLED: Final = 4
"""Flag of a socket whose reader does not read: what it is handed stays until it is woken."""

SOCK_REALTIME: Final = 8
"""Flag of a socket that a real-time task writes to."""

SO_MEMALLOC: Final = 0x4D41
"""Number of the socket option that asks for ``SOCK_MEMALLOC``: out of the range of mainline."""
SO_STALLED: Final = 0x4D42
"""Number of the socket option that asks for ``SOCK_STALLED``; above 1, its receive buffer too."""


class Policy(IntEnum):
    """The rule set that a node follows under memory pressure (docs/policies.md)."""

    NONE = 0
    SOFTNET = 1
    MEMALLOC = 2
    MEMPOOL = 3
    CRITICAL = 4


class PacketClass(IntEnum):
    """What a packet is."""

    OTHER = 0
    BLOCK_IO = 1
    HEARTBEAT = 2
    CONTROL = 3

    @property
    def label(self) -> str:
        """Name in scenarios, results and metrics: ``block-io``."""
        return self.name.lower().replace("_", "-")


class Hook(IntEnum):
    """Where a verdict was given."""

    RECEIVE = 0
    DELIVER = 1
    TRANSMIT = 2


class Reason(IntEnum):
    """Why a packet passed (the first two) or was dropped (all others)."""

    GRANTED = 0
    FROM_RESERVE = 1
    ALLOC_FAILED = 2
    RESERVE_EXHAUSTED = 3
    SOFTNET_THROTTLED = 4
    NOT_MEMALLOC = 5
    NO_POOL = 6
    POOL_EMPTY = 7
    NOT_CRITICAL = 8
    NOT_VM_AWARE = 9
    TX_STALLED = 10
    LOST = 11
    """On the wire, by a fault: no rule of memory."""
    BUFFER_FULL = 12
    """The receive buffer of a socket whose reader does not read."""

    @property
    def passed(self) -> bool:
        """Whether the packet went on."""
        return self <= Reason.FROM_RESERVE

    @property
    def verdict(self) -> str:
        """The verdict as histories and metrics have it."""
        return "pass" if self.passed else "drop"


POLICIES: Final = tuple(policy.name.lower() for policy in Policy)
"""Names of the policies, as scenarios and results have them."""

MEMALLOC_CLASSES: Final = (PacketClass.BLOCK_IO.label, PacketClass.HEARTBEAT.label)
"""Classes whose sockets a scenario may flag as memalloc: both are throttled by their users."""

DROP_CAUSES: Final[Mapping[str, str]] = {
    "alloc_failed": "allocation_failure",
    "reserve_exhausted": "allocation_failure",
    "not_memalloc": "reserve_drop",
    "softnet_throttled": "reserve_drop",
    "no_pool": "reserve_drop",
    "pool_empty": "reserve_drop",
    "not_critical": "reserve_drop",
    "not_vm_aware": "reserve_drop",
    "buffer_full": "reserve_drop",
    "lost": "loss",
}
"""Cause of a missed heartbeat that a hook dropped at its receiver, by the reason of the drop."""


@dataclass(frozen=True)
class PortRule:
    """Which class a port means, and which flags a socket gets that connects or sends to it.

    Attributes:
        port: TCP, UDP or SCTP port at either end of a packet.
        protocol: IP protocol number.
        cls: Class of the packets.
        flags: ``SOCK_*`` for a socket that connects or sends to the port.
    """

    port: int
    protocol: int
    cls: PacketClass
    flags: int = 0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The settings of the policies ``softnet`` and ``mempool``.

    Attributes:
        softnet_limit: Packets that the softnet queue holds before it throttles.
        softnet_cost_ns: Nanoseconds that the queue needs for a packet.
        mempool_pages: Pages in a memalloc socket's own pool.
    """

    softnet_limit: int = SOFTNET_LIMIT
    softnet_cost_ns: int = SOFTNET_COST_NS
    mempool_pages: int = MEMPOOL_PAGES


def service_shift(service_ns: int) -> int:
    """The smallest shift so that eight ticks of 2 ** shift ns last at least ``service_ns``."""
    return max(0, (max(1, service_ns) - 1) // (WHEEL_LIFE - 1)).bit_length()


STALLED_BYTES: Final = 3000 * PAGE_BYTES
"""Of truesize that the reader of a flood may hold by a kernel's profile: about what udp_mem lets a
machine's hold, whose own buffer is larger."""
