"""The structures and constants that the hooks and the agent share, for ctypes.

``make hooks`` writes the C header ``build/crunchbed.h`` from this file and from
``contract/packets.py`` (see ``header.py``), so that the two sides cannot differ. Times are
nanoseconds of CLOCK_MONOTONIC, sizes are pages of 4 KiB.
"""

from __future__ import annotations

import ctypes as c
from enum import IntEnum

from reserve_agent.contract.packets import MAX_LOSSES, MAX_RULES, MAX_WINDOWS, WHEEL_SLOTS
from reserve_agent.hooks.profile import FLOORS, Buffers

LOSS_ALWAYS = 0xFFFFFFFF
JOURNAL_ENTRIES = 4096
TEST_SOCKETS = 16
AUDIT_ETHER_TYPES = 16  # EtherTypes that are told apart, other than IP

# Counters.by[hook << 6 | class << 4 | reason]: powers of two, so that a mask is a bound.
COUNTER_ENTRIES = 256
COUNTER_HOOK_SHIFT = 6
COUNTER_CLASS_SHIFT = 4

# skb->mark between tc ingress and cgroup_skb: who paid for this buffer.
MARK_FROM_RESERVE = 0x80000000
MARK_CHARGED = 0x40000000
MARK_SLOT_SHIFT = 24
MARK_ORIGIN_SHIFT = 16
MARK_ORIGIN_MASK = 0x7
MARK_PAGES_SHIFT = 8
MARK_CLASS_MASK = 0x0F


class Op(IntEnum):
    """Operations of ``cb_operate``."""

    TICK = 0
    DIRTY = 1
    CLEAN = 2
    RESIZE = 3
    RESET = 4
    EMERGENCY = 5
    CALM = 6
    WAKE = 7
    SWAP = 8


class Entry(IntEnum):
    """Kinds of journal entries."""

    PRESSURE_BEGIN = 1
    PRESSURE_END = 2
    DROP = 3


class Rule(c.Structure):
    """A port rule."""

    _fields_ = (
        ("port", c.c_uint16),  # host byte order; either end of the packet; 0 = rule not used
        ("protocol", c.c_uint8),
        ("cls", c.c_uint8),
        ("flags", c.c_uint32),  # SOCK_* given to a socket that connects or sends to this port
    )


class Loss(c.Structure):
    """Packets that the wire loses, by a fault."""

    _fields_ = (
        ("source", c.c_uint32),  # IPv4 address in network byte order; 0 = whoever sent it
        ("threshold", c.c_uint32),  # share of 2^32 that is lost; LOSS_ALWAYS: all; 0 ends the list
    )


class Config(c.Structure):
    """Settings of the hooks; written by the agent only."""

    _fields_ = (
        ("policy", c.c_uint32),
        ("service_shift", c.c_uint32),  # a wheel tick is 1 << service_shift nanoseconds
        ("windows", c.c_uint32),  # how many entries of the windows map are valid
        ("softnet_limit", c.c_uint32),  # packets the softnet queue may hold before it throttles
        ("softnet_cost_ns", c.c_uint32),  # nanoseconds the queue needs for one packet
        ("mempool_pages", c.c_uint32),  # of a memalloc socket's own pool under ``mempool``
        ("enforce", c.c_uint32),  # refuse protocols that are not vm-aware, pressure or not
        ("losing", c.c_uint32),  # whether there is any entry in losses
        ("rules", Rule * MAX_RULES),
        ("losses", Loss * MAX_LOSSES),
    )


class Window(c.Structure):
    """A stretch of time without a free page for a normal task."""

    _fields_ = (
        ("start", c.c_uint64),
        ("end", c.c_uint64),
        ("level", c.c_uint64),  # pages that stay free when it begins; at most the reserve
    )


class Windows(c.Structure):
    """All windows, in order; written by the agent only."""

    _fields_ = (("entries", Window * MAX_WINDOWS),)


class Wheel(c.Structure):
    """Buffers whose reader runs: pages by the tick in which they were taken."""

    _fields_ = (
        ("tick", c.c_uint64),
        ("pages", c.c_uint64),
        ("slot", c.c_uint32 * WHEEL_SLOTS),
    )


POOL_FIELDS = (
    *("total", "reserve", "free", "clean", "dirty", "demand", "squeezed", "rx_stalled", "tx"),
    *("low_water", "now", "generation", "hoarded", "wakes", "stock", "sunk", "flagged"),
    *("pressure", "pressure_since", "pressure_ns", "pressure_longest_ns", "pressure_episodes"),
    *("window", "in_window", "hold_level", "wanted", "swap_level", "emergency"),
    *("softnet_backlog_ns", "softnet_since", "softnet_throttled"),
    "journal_head",
)
"""Counters of the pool; ``model/pool.py`` says what they are."""


class Pool(c.Structure):
    """The page pool; written by the hooks only, under one spin lock.

    total = free + clean + dirty + squeezed + running.pages + rx_stalled + hoarded + tx + stock,
    always.
    """

    _fields_ = (
        *((name, c.c_uint64) for name in POOL_FIELDS),
        ("floor", c.c_uint64 * FLOORS),  # pages that a Request must leave free
        ("running", Wheel),
        ("buffers", Buffers),
    )


class JournalEntry(c.Structure):
    """An entry of the ring in which the hooks say what happened."""

    _fields_ = (
        ("t", c.c_uint64),
        ("value", c.c_uint64),  # pages free, or start of the pressure that ended, or pages dropped
        ("tag", c.c_uint64),  # first eight payload bytes of a dropped packet, as sent
        ("source", c.c_uint32),  # IPv4 address in network byte order
        ("destination", c.c_uint32),
        ("kind", c.c_uint16),
        ("hook", c.c_uint8),
        ("reason", c.c_uint8),
        ("cls", c.c_uint8),
        ("pad", c.c_uint8 * 3),
    )


class Journal(c.Structure):
    """The ring."""

    _fields_ = (("entries", JournalEntry * JOURNAL_ENTRIES),)


class Counter(c.Structure):
    """Packets that got one verdict, and pages of their buffers."""

    _fields_ = (("packets", c.c_uint64), ("pages", c.c_uint64))


class Counters(c.Structure):
    """All counters of one processor."""

    _fields_ = (("by", Counter * COUNTER_ENTRIES),)


class Socket(c.Structure):
    """What a socket's storage holds."""

    _fields_ = (
        ("flags", c.c_uint32),
        ("closed", c.c_uint32),
        ("generation", c.c_uint64),
        ("tx_started", c.c_uint32),
        ("tx_base", c.c_uint32),  # TCP sequence number of the first byte charged
        ("tx_end", c.c_uint64),  # bytes charged since tx_base
        ("tx_una", c.c_uint64),  # bytes acknowledged since tx_base
        ("wakes", c.c_uint64),  # of the pool, when ``hoarded`` and ``unread`` were counted
        ("hoarded", c.c_uint64),  # pages of its own mempool that a stalled reader keeps
        ("unread", c.c_uint64),  # bytes that a stalled reader has in its receive buffer
        ("receive_buffer", c.c_uint64),  # and may have there; 0 = the kernel's default
        ("from_reserve", c.c_uint64),  # pages it was ever handed from the reserve
        ("pool", Wheel),  # pages this socket holds of its own mempool
    )


class EtherType(c.Structure):
    """Packets received of one EtherType that is not IP, for the audit."""

    _fields_ = (
        ("type", c.c_uint64),
        ("packets", c.c_uint64),  # 0 = slot not used
    )


class Protocols(c.Structure):
    """Packets received by protocol, on one processor, for the audit."""

    _fields_ = (
        ("ipv4", c.c_uint64 * 256),  # by IP protocol; 0 also where the header cannot be read
        ("ipv6", c.c_uint64 * 256),
        ("unnamed", c.c_uint64),  # of EtherTypes that found no slot
        ("others", EtherType * AUDIT_ETHER_TYPES),
    )


class SocketRecord(c.Structure):
    """A socket as ``cb_list_sockets`` writes it; ports are in host byte order."""

    _fields_ = (
        ("inode", c.c_uint64),  # 0 = no process has it any more
        ("write_queue_bytes", c.c_uint64),  # sent and not acknowledged (TCP)
        ("pool_pages", c.c_uint64),
        ("reserve_pages", c.c_uint64),  # ever handed to it from the reserve
        ("flags", c.c_uint32),
        ("closed", c.c_uint32),
        ("family", c.c_uint16),
        ("protocol", c.c_uint16),
        ("local_port", c.c_uint16),
        ("remote_port", c.c_uint16),
        ("local", c.c_uint8 * 16),
        ("remote", c.c_uint8 * 16),
        ("state", c.c_uint8),  # TCP_* of the kernel
        ("pad", c.c_uint8 * 7),
    )


MAP_VALUES: dict[str, type[c.Structure]] = {
    "cb_pool": Pool,
    "cb_config": Config,
    "cb_journal": Journal,
    "cb_windows": Windows,
    "cb_counters": Counters,
    "cb_sockets": Socket,
    "cb_test_sockets": Socket,
    "cb_protocols": Protocols,
}
"""What the values of the hooks' maps are."""
