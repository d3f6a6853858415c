"""How large the reserve of a machine must be for its memalloc sockets, and what they have of it.

The sum is that of ``reserve_agent.sizing``. What is in flight on a socket of the kernel is bounded
by its queue and, where requests are copied, by its send buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from crunchbed.risk.machine import Machine, Storage
from crunchbed.risk.reading import linux
from crunchbed.risk.sockets import SOCKET_USERS
from reserve_agent.contract.packets import PAGE_BYTES
from reserve_agent.sizing import Term, Throttled, terms

ATOMIC_FLOOR: Final = Fraction(3, 8)
"""The share of min that only memalloc sockets get: GFP_ATOMIC stops there (``FLOOR_READ``)."""
FLOOR_READ: Final = linux("3/8", "mm/page_alloc.c", "min -= min / 4;", 4055, 3230)

_DEFAULT_SEND_BUFFER: Final = 4 << 20  # net.ipv4.tcp_wmem[2] of a machine with enough memory
_DEFAULT_QUEUE_DEPTH: Final = 128  # of nbd, iscsi_tcp and nvme-tcp
_DEFAULT_REQUEST_BYTES: Final = 1 << 20
_HEADER_BYTES: Final = 128  # the longest: an NVMe command in its capsule
_FRAME_BYTES: Final = 14 + 20 + 32 + _HEADER_BYTES  # a reply without data
_TUNNELLED: Final = 1024  # packets that wireguard queues (MAX_QUEUED_PACKETS, messages.h:53)
_TUNNEL_FRAME_BYTES: Final = 14 + 1500


@dataclass(frozen=True)
class Need:
    """What the memalloc sockets of a machine need, in pages.

    Attributes:
        terms: The sum, term by term; empty: there is no memalloc socket.
        pages: The sum.
        min_pages: The min watermarks that leave so many pages to memalloc sockets alone.
        given_pages: The pages that they have alone now; None: the watermarks could not be read.
    """

    terms: tuple[Term, ...]
    pages: int
    min_pages: int
    given_pages: int | None

    @property
    def min_free_kib(self) -> int:
        """The value of vm.min_free_kbytes that goes with ``min_pages``."""
        return self.min_pages * PAGE_BYTES // 1024

    @property
    def is_short(self) -> bool:
        """Whether the sockets may find the reserve empty."""
        return self.given_pages is not None and self.given_pages < self.pages


def is_memalloc(storage: Storage, machine: Machine) -> bool:
    """Whether the sockets of a storage are memalloc now."""
    flagged = SOCKET_USERS[storage.user].flagged(storage.version or machine.kernel)
    as_swap = any(swap.storage == storage.name for swap in machine.swaps)
    return flagged == "always" or (flagged == "as swap" and as_swap)


def need_of(machine: Machine) -> Need:
    """Return what the machine's memalloc sockets need."""
    users = [one for one in machine.storages if is_memalloc(one, machine)]
    up = sum(one.up for one in machine.interfaces)
    sum_of = terms([_throttled(one, machine) for one in users], up) if users else []
    pages = sum(term.pages for term in sum_of)
    return Need(
        tuple(sum_of),
        pages,
        _round_up(pages / ATOMIC_FLOOR),
        None if machine.memory.min_pages is None else int(machine.memory.min_pages * ATOMIC_FLOOR),
    )


def _round_up(pages: Fraction) -> int:
    return -(-pages.numerator // pages.denominator)


def _throttled(storage: Storage, machine: Machine) -> Throttled:
    if storage.user == "wireguard":
        return Throttled(
            storage.name, _TUNNELLED, _TUNNEL_FRAME_BYTES, _TUNNEL_FRAME_BYTES, streamed=False
        )
    depth = storage.queue_depth or _DEFAULT_QUEUE_DEPTH
    request = _HEADER_BYTES
    if SOCKET_USERS[storage.user].copies:
        request = storage.request_bytes or _DEFAULT_REQUEST_BYTES
        buffer = machine.memory.send_buffer_bytes or _DEFAULT_SEND_BUFFER
        depth = min(depth, max(1, buffer // request))
    return Throttled(storage.name, depth * storage.connections, request, _FRAME_BYTES)
